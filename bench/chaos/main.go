// Command chaos proves that nothing is missed: it runs a fake Kazoo with
// thousands of users and the real receiver as a child process, deletes users
// while it breaks everything that can break, and compares what happened with
// what the receiver knows of it in the end. See package trial for the rules.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"kazoohook/bench/chaos/trial"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code) //nolint:forbidigo // here only
}

// run is the program: 0 nothing was missed, 1 something was or it broke, 2 usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o trial.Options
	var receiver, output string
	var race, verbose, noDisk bool
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Uint64Var(&o.Seed, "seed", uint64(time.Now().UnixNano()%1_000_000), "the schedule's; default a new one")
	flags.IntVar(&o.Users, "users", 3000, "users at the start")
	flags.DurationVar(&o.For, "for", 2*time.Minute, "how long things happen and break")
	flags.Float64Var(&o.Speed, "speed", 20, "how much faster Kazoo's own waiting times pass")
	flags.Float64Var(&o.Rate, "rate", 200, "deletions a minute")
	flags.DurationVar(&o.Pause, "pause", 8*time.Second, "mean time between two faults of one sort")
	flags.DurationVar(&o.Heal, "heal", 3*time.Minute, "how long healing may take")
	flags.DurationVar(&o.Resync, "resync", 10*time.Second, "RESYNC_INTERVAL of the receiver")
	flags.StringVar(&o.Hooks, "hooks", "", "HOOKS of the receiver; default the deletions of users and accounts")
	flags.StringVar(&o.Kazoo, "kazoo", "4.3", "which Kazoo to fake: 4.3 or 5")
	flags.StringVar(&receiver, "receiver", "", "program to run; default: built from ./cmd/kazoohook")
	flags.StringVar(&output, "output", "", "file for all that the receiver prints")
	flags.BoolVar(&race, "race", false, "build the receiver with the race detector")
	flags.BoolVar(&noDisk, "no-disk", false, "don't mount a small file system to fill")
	flags.BoolVar(&verbose, "v", false, "print the schedule and each step")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return 2
	}
	if err := chaos(ctx, o, receiver, output, race, verbose, noDisk, stdout, stderr); err != nil {
		_, _ = fmt.Fprintf(stderr, "chaos: %v\n", err) // nobody to tell otherwise
		return 1
	}
	return 0
}

func chaos(ctx context.Context, o trial.Options, receiver, output string, race, verbose, noDisk bool, stdout, stderr io.Writer) (err error) {
	o.Disk = !noDisk
	if o.Receiver = receiver; receiver == "" {
		dir, err := os.MkdirTemp("", "kazoohook-build-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary directory does no harm
		if o.Receiver, err = trial.Build(ctx, dir, race, stderr); err != nil {
			return err
		}
	}
	if output != "" {
		f, err := os.Create(filepath.Clean(output))
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // for people
		o.Output = f
	}
	if _, err := fmt.Fprintf(stdout, "seed %d: %d users, %.0f deletions a minute for %s, Kazoo %s at %g times its speed\n",
		o.Seed, o.Users, o.Rate, o.For, o.Kazoo, o.Speed); err != nil {
		return err
	}
	if verbose {
		o.Log = stdout
		for _, s := range trial.Schedule(o) {
			if _, err := fmt.Fprintln(stdout, s); err != nil {
				return err
			}
		}
	}
	report, err := trial.Run(ctx, o)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(stdout, report); err != nil {
		return err
	}
	if verbose {
		for message, n := range report.Messages {
			if _, err := fmt.Fprintf(stdout, "%6d  %s\n", n, message); err != nil {
				return err
			}
		}
	}
	if n := len(report.Violations); n > 0 {
		return fmt.Errorf("%d violations with seed %d", n, o.Seed)
	}
	return nil
}
