// Command kazoohook is a durable receiver for the webhooks of the Kazoo phone
// platform. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(exitCode(start())) } //nolint:forbidigo // here only

// start runs the program until it ends or is told to stop. The second signal
// kills: whoever sends two doesn't want to wait.
func start() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
}
