package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// check describes a check of doctor.
type check struct {
	name  string
	needs needs
	after []string      // checks to wait for, whatever their result
	limit time.Duration // 0: doctor's timeout
	// run returns the findings, and whether the checks that need this one can run.
	// It should end with ctx; doctor does not wait for one that doesn't.
	run func(ctx context.Context) (found []finding, usable bool)
}

// needs is what a check requires.
type needs struct {
	settings []string // variables that have to be right
	checks   []string // checks that must have a usable result
}

func vars(names ...string) needs { return needs{settings: names} }

func (n needs) and(checks ...string) needs {
	n.checks = checks
	return n
}

// status is how a check ended.
type status string

// The statuses.
const (
	statusOK   status = "ok"
	statusWarn status = "warn" // works badly, or the state is unknown
	statusFail status = "fail" // events are or will be missed
	statusSkip status = "skip" // not checked
)

// finding is one line of the result.
type finding struct {
	Check  string `json:"check"`
	Status status `json:"status"`
	Found  string `json:"found"`
	Advice string `json:"advice"` // what to do about a warn or fail
}

func fine(format string, args ...any) finding {
	return finding{Status: statusOK, Found: fmt.Sprintf(format, args...)}
}

func warned(advice, format string, args ...any) finding {
	return finding{Status: statusWarn, Found: fmt.Sprintf(format, args...), Advice: advice}
}

func broken(advice, format string, args ...any) finding {
	return finding{Status: statusFail, Found: fmt.Sprintf(format, args...), Advice: advice}
}

func skipped(format string, args ...any) finding {
	return finding{Status: statusSkip, Found: fmt.Sprintf(format, args...)}
}

func one(f finding) []finding { return []finding{f} }

// outcome is a check's result. It may be read after ended is closed.
type outcome struct {
	ended  chan struct{}
	found  []finding
	usable bool
}

// run makes the checks concurrently, each as soon as those that it needs have
// ended, and prints their findings in the order of the list.
func (d *doctor) run(ctx context.Context, emit func(finding) error) error {
	checks := d.checks()
	outcomes := make(map[string]*outcome, len(checks))
	for _, c := range checks {
		outcomes[c.name] = &outcome{ended: make(chan struct{})}
	}
	for _, c := range checks {
		go func() {
			o := outcomes[c.name]
			defer close(o.ended)
			o.found, o.usable = d.perform(ctx, c, outcomes)
		}()
	}
	for _, c := range checks {
		o := outcomes[c.name]
		<-o.ended
		for _, f := range o.found {
			f.Check = c.name
			if err := emit(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// perform makes one check, or reports why it can't be made.
func (d *doctor) perform(ctx context.Context, c check, outcomes map[string]*outcome) ([]finding, bool) {
	missing := ""
	for _, name := range c.needs.checks {
		<-outcomes[name].ended
		if !outcomes[name].usable {
			missing = "needs the check " + name + ", which gave no result"
		}
	}
	for _, name := range c.after {
		<-outcomes[name].ended
	}
	if wrong := d.wrong(c.needs.settings); len(wrong) > 0 {
		missing = "needs settings that are not right: " + strings.Join(wrong, ", ")
	}
	if missing != "" {
		return one(skipped("%s", missing)), false
	}
	limit := c.limit
	if limit == 0 {
		limit = d.timeout
	}
	return within(ctx, limit, c.run)
}

// grace is the extra time in which a check may report what it waited for.
const grace = 2 * time.Second

// within runs a check for a limited time, even if the check hangs in the kernel.
func within(ctx context.Context, limit time.Duration, run func(context.Context) ([]finding, bool)) ([]finding, bool) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	type result struct {
		found  []finding
		usable bool
	}
	done := make(chan result, 1)
	began := time.Now()
	go func() {
		found, usable := run(ctx)
		done <- result{found, usable}
	}()
	late := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, func() { close(late) }) })
	defer stop()
	select {
	case r := <-done:
		return r.found, r.usable
	case <-late:
		return one(broken("try again with a longer --timeout; if that doesn't help, find out what hangs",
			"no result within %s", time.Since(began).Round(100*time.Millisecond))), false
	}
}
