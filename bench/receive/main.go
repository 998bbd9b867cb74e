// Command receive measures what durability costs: the whole receive path with
// the journal and the log consumer, against the same path without a journal and
// against a bare handler that reads and parses the same form, each in a process
// of its own, at several numbers of keep-alive connections.
//
// Rounds are interleaved, so that a machine whose speed drifts slows all alike;
// every figure to quote is a ratio within one round.
//
//	go run ./bench/receive [-rounds 5] [-time 2s] [-json FILE]
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	do := run
	if mode := os.Getenv("BENCH_SERVER"); mode != "" {
		do = func() error { return serve(mode) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// variants are what is compared, the bare one first.
var variants = []string{"bare", "nojournal", "full"}

func run() error {
	rounds := flag.Int("rounds", 5, "rounds of each variant")
	span := flag.Duration("time", 2*time.Second, "length of one measurement")
	out := flag.String("json", "", "write the figures to this file, too")
	dir := flag.String("dir", "", "directory on the disk to measure; default: a temporary one")
	flag.Parse()
	base, err := os.MkdirTemp(*dir, "kazoohook-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(base) }() // a leftover does no harm
	report := newReport()
	for _, conns := range []int{1, 16, 64} {
		for round := range *rounds + 1 {
			for _, variant := range variants {
				r, err := measure(context.Background(), variant, base, conns, *span)
				if err != nil {
					return fmt.Errorf("%s at %d connections: %w", variant, conns, err)
				}
				if round > 0 { // the first warms up
					report.add(r)
				}
			}
			if conns == 1 && round > 0 {
				s, err := syncTime(base)
				if err != nil {
					return err
				}
				report.syncs = append(report.syncs, s)
			}
		}
	}
	report.print(os.Stdout)
	if *out == "" {
		return nil
	}
	raw, err := json.MarshalIndent(report.figures(), "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*out, append(raw, '\n'), 0o600)
}
