// Command soak runs the real receiver for a long time under ordinary traffic,
// restarts it now and then, and proves that nothing grows and that every event
// is accounted for. Package endurance describes what is checked.
//
//	go run ./bench/soak [-for 1h] [-rate 500] [-restart 2m] [-json FILE]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"kazoohook/bench/chaos/trial"
	"kazoohook/bench/soak/endurance"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code) //nolint:forbidigo // here only
}

// run is the program. Exit codes: 0 passed, 1 something grew or was lost, or the run
// failed, 2 usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o endurance.Options
	var file, output string
	var race, verbose bool
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&o.For, "for", time.Hour, "how long")
	flags.Float64Var(&o.Rate, "rate", 500, "requests a second")
	flags.DurationVar(&o.Restart, "restart", 2*time.Minute, "time between restarts in the first half; negative: none")
	flags.DurationVar(&o.Warm, "warm", 0, "left out at the beginning of each half; default twice the retention")
	flags.DurationVar(&o.Retention, "retention", 6*time.Minute, "JOURNAL_RETENTION")
	flags.Int64Var(&o.MaxBytes, "max-bytes", 512<<20, "JOURNAL_MAX_BYTES")
	flags.IntVar(&o.Users, "users", 3000, "users at the start and about that many later")
	flags.IntVar(&o.Streams, "streams", 4, "live streams at a time")
	flags.Float64Var(&o.Slack, "slack", 1, "multiplies what anything may grow by")
	flags.Uint64Var(&o.Seed, "seed", 1, "of what happens")
	flags.StringVar(&o.Receiver, "receiver", "", "program to run; default: built from ./cmd/kazoohook")
	flags.StringVar(&o.Dir, "dir", os.TempDir(), "where the data directory is made")
	flags.StringVar(&file, "json", "", "write the report to this file, too")
	flags.StringVar(&output, "output", "", "file for all that the receiver prints")
	flags.BoolVar(&race, "race", false, "build the receiver with the race detector")
	flags.BoolVar(&verbose, "v", false, "print what is done")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return 2
	}
	if verbose {
		o.Log = stdout
	}
	if err := soak(ctx, o, file, output, race, stdout, stderr); err != nil {
		_, _ = fmt.Fprintf(stderr, "soak: %v\n", err) // nothing else can be done
		return 1
	}
	return 0
}

func soak(ctx context.Context, o endurance.Options, file, output string, race bool, stdout, stderr io.Writer) error {
	if o.Receiver == "" {
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
		defer func() { _ = f.Close() }() // only for people to read
		o.Output = f
	}
	report, err := endurance.Run(ctx, o)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(stdout, report); err != nil {
		return err
	}
	if file != "" {
		raw, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, append(raw, '\n'), 0o600); err != nil {
			return err
		}
	}
	if !report.Passed() {
		return errors.New("something grew, or is not accounted for")
	}
	return nil
}
