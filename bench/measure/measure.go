// Package measure measures the receiver: the cost of durability for a request, and
// which costs grow with the journal.
//
// Variants run in turn, round by round, so that a machine whose speed drifts slows
// all of them alike. Every figure to quote is a ratio within one round. Servers are
// processes of their own, on loopback. The client runs on the same machine and uses
// its processors, too.
package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

type measurer struct {
	o        Options
	base     string // scratch, on the disk that is measured
	cache    string
	next     serial
	capacity float64 // of the full path, requests a second
	report   Report
}

// waitLimit is how long what must happen may take: a machine may be busy.
const waitLimit = 3 * time.Minute

// Run measures the parts that o asks for.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	base, err := os.MkdirTemp(o.Dir, "kazoohook-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(base)) }()
	if o.Only == "" {
		o.Only = Parts
	}
	m := &measurer{o: o, base: base, cache: o.Cache}
	if m.cache == "" {
		m.cache = filepath.Join(base, "cache")
	}
	if err := os.MkdirAll(m.cache, 0o700); err != nil {
		return nil, err
	}
	m.report.Machine = machine(base)
	if m.o.Program == "" && strings.ContainsAny(o.Only, "smgbc") {
		m.o.Program = filepath.Join(base, "kazoohook")
		o.progress("building the receiver")
		if err := buildProgram(ctx, m.o.Program); err != nil {
			return nil, err
		}
	}
	for i, part := range []func() error{
		func() error { return m.ack(ctx) }, m.decoding, func() error { return m.starts(ctx) },
		func() error { return m.memory(ctx) }, func() error { return m.queries(ctx) }, func() error { return m.arrivals(ctx) }, func() error { return m.growth(ctx) },
		func() error { return m.onward(ctx) }, func() error { return m.backlog(ctx) },
		func() error { return m.cluster(ctx) },
	} {
		if !strings.Contains(o.Only, Parts[i:i+1]) {
			continue
		}
		if err := part(); err != nil {
			return nil, fmt.Errorf("part %q: %w", Parts[i], err)
		}
	}
	m.report.Machine.Load[1] = loadAverage()
	return &m.report, nil
}

// fresh makes a new, empty directory.
func (m *measurer) fresh() (string, error) { return os.MkdirTemp(m.base, "data") }
