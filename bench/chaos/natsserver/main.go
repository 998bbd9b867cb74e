// Command natsserver is a real nats-server with JetStream. It is a process of its own,
// because trials kill and freeze it.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "natsserver: %v\n", err) // nothing else can be done
		os.Exit(1)                                             //nolint:forbidigo // here only
	}
}

func run(args []string) error {
	o := &server.Options{Host: "127.0.0.1", JetStream: true, NoLog: true}
	flags := flag.NewFlagSet("natsserver", flag.ContinueOnError)
	flags.IntVar(&o.Port, "port", server.DEFAULT_PORT, "of loopback")
	flags.StringVar(&o.StoreDir, "store", "", "directory of the streams")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return fmt.Errorf("nothing listens on port %d", o.Port)
	}
	s.WaitForShutdown()
	return nil
}
