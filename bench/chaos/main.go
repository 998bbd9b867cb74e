// Command chaos proves that nothing is missed. It runs a fake Kazoo with thousands
// of users and the real receiver as a child process, and deletes users while it
// breaks everything that can break. In the end it compares what happened with what
// the receiver knows, and with what arrived at destinations that also break. With
// -nodes 3 the receiver is a cluster behind a balancer, whose nodes and links break.
// See package trial for the rules.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"kazoohook/bench/chaos/power"
	"kazoohook/bench/chaos/trial"
)

func main() {
	if err := power.Become(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // as the receiver that it was to be
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code) //nolint:forbidigo // here only
}

// settings are those of the command line.
type settings struct {
	trial.Options
	seeds, parallel       int
	output                string
	race, verbose, noDisk bool
	noPower, noJumps      bool
}

// run is the program. Exit codes: 0 nothing was missed, 1 something was missed or the
// run failed, 2 usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var s settings
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Uint64Var(&s.Seed, "seed", uint64(time.Now().UnixNano()%1_000_000), "of the (first) schedule; default a new one")
	flags.IntVar(&s.seeds, "seeds", 1, "trials, with one seed after the other")
	flags.IntVar(&s.Nodes, "nodes", 1, "receivers; 3 or 5 make a cluster behind a balancer, whose nodes and links break")
	flags.IntVar(&s.parallel, "parallel", 4, "trials at a time")
	flags.IntVar(&s.Users, "users", 3000, "users at the start")
	flags.DurationVar(&s.For, "for", 2*time.Minute, "how long things happen and break")
	flags.Float64Var(&s.Speed, "speed", 20, "how much faster Kazoo's own waiting times pass")
	flags.Float64Var(&s.Rate, "rate", 200, "changes of users a minute, most of them deletions")
	flags.DurationVar(&s.Pause, "pause", 8*time.Second, "mean time between two faults of one sort")
	flags.DurationVar(&s.Heal, "heal", 3*time.Minute, "how long healing may take")
	flags.DurationVar(&s.Resync, "resync", 10*time.Second, "RESYNC_INTERVAL of the receiver")
	flags.StringVar(&s.Hooks, "hooks", "", "HOOKS of the receiver; default by the seed: deletions alone, or all that happens to users")
	flags.StringVar(&s.Kazoo, "kazoo", "", "which Kazoo to fake, 4.3 or 5; default by the seed")
	flags.StringVar(&s.Receiver, "receiver", "", "program to run; default: built from ./cmd/kazoohook")
	flags.StringVar(&s.output, "output", "", "file for all that the receiver prints; with several seeds one each, with the seed behind its name")
	flags.BoolVar(&s.race, "race", false, "build the receiver with the race detector")
	flags.StringVar(&s.HAProxy, "haproxy", "", "configuration of HAProxy for a cluster (deploy/proxies/haproxy-cluster.cfg), which then is the balancer; default: one of our own")
	flags.BoolVar(&s.noPower, "no-power", false, "don't cut the power of nodes of a cluster")
	flags.BoolVar(&s.noJumps, "no-jumps", false, "don't let wall clocks of nodes of a cluster jump, for which the receiver is built with a changed standard library")
	flags.BoolVar(&s.noDisk, "no-disk", false, "don't mount a small file system to fill")
	flags.BoolVar(&s.Brokers, "brokers", false, "deliver to RabbitMQ, PostgreSQL and nats-server, too; the first two must be installed")
	flags.BoolVar(&s.verbose, "v", false, "print the schedule and each step; with several seeds those of trials that failed")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 || s.seeds < 1 || s.parallel < 1 {
		return 2
	}
	s.cluster(flags)
	if err := chaos(ctx, s, stdout, stderr); err != nil {
		_, _ = fmt.Fprintf(stderr, "chaos: %v\n", err) // nothing else can be done
		return 1
	}
	return 0
}

// cluster sets other defaults for a cluster: its nodes need time between two faults,
// or not all are ever up, and three receivers in a trial are more work than one.
func (s *settings) cluster(flags *flag.FlagSet) {
	if s.Nodes == 1 {
		return
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, set := range map[string]func(){
		"users": func() { s.Users = 300 }, "for": func() { s.For = time.Minute }, "pause": func() { s.Pause = 30 * time.Second },
		"resync": func() { s.Resync = 2 * time.Second }, "parallel": func() { s.parallel = 2 },
	} {
		if !given[name] {
			set()
		}
	}
}

func chaos(ctx context.Context, s settings, stdout, stderr io.Writer) (err error) {
	s.Disk = !s.noDisk
	s.Power = s.Nodes > 1 && !s.noPower
	s.Jumps = s.Nodes > 1 && !s.noJumps && s.Receiver == ""
	dir, err := os.MkdirTemp("", "kazoohook-build-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary directory does no harm
	if s.Brokers {
		if s.NATS, err = trial.BuildNATS(ctx, dir, stderr); err != nil {
			return err
		}
	}
	if s.Receiver == "" {
		build := trial.Build
		if s.Jumps {
			build = trial.BuildWithClock
		}
		if s.Receiver, err = build(ctx, dir, s.race, stderr); err != nil {
			return err
		}
	}
	if s.seeds == 1 {
		return s.one(ctx, s.Seed, s.output, nil, stdout)
	}
	return s.many(ctx, stdout)
}

// many runs several trials at a time. Each gets addresses of its own.
func (s settings) many(ctx context.Context, stdout io.Writer) error {
	each := trial.AddrsOf(s.Nodes)
	addrs, err := trial.FreeAddrs(ctx, each*s.parallel)
	if err != nil {
		return err
	}
	free := make(chan []string, s.parallel)
	for pair := range slices.Chunk(addrs, each) {
		free <- pair
	}
	var g errgroup.Group
	var mu sync.Mutex
	var failed []string
	for n := range s.seeds {
		pair := <-free
		g.Go(func() error {
			defer func() { free <- pair }()
			seed, output := s.Seed+uint64(n), ""
			if s.output != "" {
				output = fmt.Sprintf("%s.%d", s.output, seed)
			}
			var text bytes.Buffer
			err := s.one(ctx, seed, output, pair, &text)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, err.Error())
			}
			_, werr := fmt.Fprintf(stdout, "%s\n", text.Bytes())
			return werr
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d trials failed: %s", len(failed), s.seeds, strings.Join(failed, "; "))
	}
	_, err = fmt.Fprintf(stdout, "%d trials, 0 violations\n", s.seeds)
	return err
}

// one runs one trial and prints its report.
func (s settings) one(ctx context.Context, seed uint64, output string, addrs []string, stdout io.Writer) error {
	o := s.Options
	o.Seed, o.Addrs = seed, addrs
	if output != "" {
		f, err := os.Create(filepath.Clean(output))
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // only for people to read
		o.Output = f
	}
	var steps bytes.Buffer
	if s.verbose {
		o.Log = &steps
		if s.seeds == 1 {
			o.Log = stdout
		}
	}
	report, err := trial.Run(ctx, o)
	if err != nil {
		return fmt.Errorf("seed %d: %w", seed, err)
	}
	violated := len(report.Violations) > 0 || !report.Healed
	if violated {
		if _, err := steps.WriteTo(stdout); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprint(stdout, report); err != nil {
		return err
	}
	if s.verbose && (violated || s.seeds == 1) {
		for _, message := range slices.Sorted(maps.Keys(report.Messages)) {
			if _, err := fmt.Fprintf(stdout, "%6d  %s\n", report.Messages[message], message); err != nil {
				return err
			}
		}
	}
	if violated {
		return fmt.Errorf("seed %d: %d violations, healed: %t", seed, len(report.Violations), report.Healed)
	}
	return nil
}
