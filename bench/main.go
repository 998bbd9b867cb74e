// Command bench compares the receiver with lower bounds of its cost: a bare handler,
// one sync of the disk, a hand-written pass over a body, a small journal. See
// package measure and docs/performance.md.
//
//	go run ./bench [-quick] [-only PARTS] [-conns N,...] [-events N] [-cache DIR] [-against BENCH] [-json FILE]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kazoohook/bench/measure"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code) //nolint:forbidigo // this is main
}

// run is the program, or one of the servers that it measures.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var err error
	if variant := os.Getenv(measure.ServerVariable); variant != "" {
		err = measure.Serve(ctx, variant, stdin, stdout)
	} else {
		o, out, ok := options(args, stderr)
		if !ok {
			return 2
		}
		err = report(ctx, o, out, stdout)
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "bench: %v\n", err) // nothing else can be done
		return 1
	}
	return 0
}

// options reads the command line; other options are those of Full or Quick.
func options(args []string, stderr io.Writer) (o measure.Options, jsonFile string, ok bool) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	quick := flags.Bool("quick", false, "a rough run of less than a minute")
	rounds := flags.Int("rounds", 0, "interleaved rounds of each variant")
	span := flags.Duration("time", 0, "length of one measurement")
	var conns []int
	flags.Func("conns", "keep-alive connections of the closed loops, for instance 1,64", func(s string) error {
		for _, n := range strings.Split(s, ",") {
			c, err := strconv.Atoi(n)
			if err != nil || c < 1 {
				return fmt.Errorf("%q is not a number of connections", n)
			}
			conns = append(conns, c)
		}
		return nil
	})
	events := flags.Int64("events", 0, "size of the largest journal, for instance 10000000; those of 1000 and, where it is larger, 1000000 are measured too")
	flags.StringVar(&o.Only, "only", "", "measure only these parts: a(ck path) d(ecoding) s(tart) m(emory) q(ueries) l(og lines, and fixed rates) g(rowth: load on large journals) o(nward: deliveries) b(acklog: memory) c(luster: three nodes next to one)")
	flags.StringVar(&o.Dir, "dir", "", "directory on the disk to measure")
	flags.StringVar(&o.Cache, "cache", "", "directory that keeps large journals for the next run")
	flags.StringVar(&o.Program, "program", "", "receiver to run; default: built from ./cmd/kazoohook")
	flags.StringVar(&o.Against, "against", "", "an older build of bench (go build ./bench there): its receive path is measured in the same rounds")
	flags.StringVar(&o.Profile, "profile", "", "directory for profiles of the servers, and of delivering")
	flags.StringVar(&jsonFile, "json", "", "write the figures to this file, too")
	if flags.Parse(args) != nil || flags.NArg() > 0 {
		return o, "", false
	}
	d := measure.Full()
	if *quick {
		d = measure.Quick()
	}
	d.Only, d.Dir, d.Cache, d.Program, d.Profile, d.Progress = o.Only, o.Dir, o.Cache, o.Program, o.Profile, stderr
	d.Against = o.Against
	if *rounds > 0 {
		d.Rounds = *rounds
	}
	if *span > 0 {
		d.Span = *span
	}
	if len(conns) > 0 {
		d.Conns = conns
	}
	if *events > 0 {
		d.Events = sizes(*events)
	}
	return d, jsonFile, true
}

func sizes(largest int64) (list []int64) {
	for _, n := range []int64{1_000, 1_000_000} {
		if n < largest {
			list = append(list, n)
		}
	}
	return append(list, largest)
}

func report(ctx context.Context, o measure.Options, jsonFile string, stdout io.Writer) error {
	start := time.Now()
	r, err := measure.Run(ctx, o)
	if err != nil {
		return err
	}
	if err := r.Print(stdout); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(o.Progress, "measured in %s\n", time.Since(start).Round(time.Second)); err != nil {
		return err
	}
	if jsonFile == "" {
		return nil
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(jsonFile, append(raw, '\n'), 0o600)
}
