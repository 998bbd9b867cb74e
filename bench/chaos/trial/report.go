package trial

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Report is the outcome of a trial.
type Report struct {
	Seed         uint64
	Deletions    int            // of users, real ones
	Steps        map[string]int // that were made, by kind and fault
	Struck       map[string]int // requests and deliveries that a fault spoilt, by fault
	AutoDisabled int            // times that Kazoo gave up on a hook by itself
	Starts       int            // lives of the receiver
	Sources      map[string]int // user.deleted events by source
	Suppressed   int            // deliveries that repeated an event
	Lines        int            // of events in the log, repetitions included
	Confirmed    int            // times that a person's word was asked and given
	Unknowable   int            // created and deleted where neither Kazoo told nor a comparison saw
	Healed       bool
	Heal         time.Duration // from the last fault until every deletion was known
	Lag          [3]time.Duration
	DiskSkipped  string // why the disk was not filled
	Messages     map[string]int
	Violations   []string

	mu sync.Mutex // guards Steps and Struck during the trial
}

func (r *Report) count(s Step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := string(s.Kind)
	if s.Fault.Kind != "" {
		name += " " + string(s.Fault.Kind)
	}
	r.Steps[name]++
}

func (r *Report) strike(kind string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Struck[kind] += n
}

// judge compares what happened with what the receiver knows of it.
func (r *run) judge(ctx context.Context) (*Report, error) {
	rep, lines := r.report, r.receiver.Lines
	journal, err := r.receiver.History(ctx)
	if err != nil {
		return nil, err
	}
	truth := r.world.Truth()
	e := &evidence{users: r.world.everybody(), firings: truth.Firings, journal: journal, logged: lines.Logged(), resyncs: lines.completions()}
	rep.Violations, rep.Unknowable = e.verdict()
	rep.Violations = slices.Concat(rep.Violations, lines.Conflicts(), r.receiver.Failures())
	rep.Starts, rep.AutoDisabled, rep.Confirmed = r.receiver.Starts(), truth.AutoDisabled, int(r.confirms.Load())
	rep.Suppressed, rep.Lines, rep.Messages = lines.repeated, lines.lines, lines.Messages()
	rep.Sources = map[string]int{}
	first := map[string]time.Time{}
	for _, ev := range journal {
		if ev.Event == userDeleted {
			rep.Sources[ev.Source]++
			if _, ok := first[ev.ObjectID]; !ok {
				first[ev.ObjectID] = e.logged[ev.ID].seen
			}
		}
	}
	var lags []time.Duration
	for _, u := range e.users {
		rep.Deletions += len(u.deleted)
		if at, ok := first[u.id]; ok && len(u.deleted) == 1 {
			lags = append(lags, at.Sub(u.deleted[0]))
		}
	}
	if slices.Sort(lags); len(lags) > 0 {
		rep.Lag = [3]time.Duration{lags[len(lags)/2], lags[len(lags)*99/100], lags[len(lags)-1]}
	}
	return rep, nil
}

// String is the report for people.
func (r *Report) String() string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "seed %d\n", r.Seed)
	fmt.Fprintf(b, "deletions            %d\n", r.Deletions)
	fmt.Fprintf(b, "steps                %s\n", counts(r.Steps))
	fmt.Fprintf(b, "requests spoilt      %s\n", counts(r.Struck))
	fmt.Fprintf(b, "hook given up on     %d times by Kazoo itself\n", r.AutoDisabled)
	fmt.Fprintf(b, "receiver started     %d times\n", r.Starts)
	fmt.Fprintf(b, "user.deleted         %s\n", counts(r.Sources))
	fmt.Fprintf(b, "repetitions          %d suppressed; %d lines in the log\n", r.Suppressed, r.Lines)
	fmt.Fprintf(b, "a person's word      %d times\n", r.Confirmed)
	fmt.Fprintf(b, "beyond knowledge     %d users\n", r.Unknowable)
	fmt.Fprintf(b, "known after          %s in the middle, %s for 99 of 100, %s at most\n", round(r.Lag[0]), round(r.Lag[1]), round(r.Lag[2]))
	fmt.Fprintf(b, "healed               %t, %s after the last fault\n", r.Healed, round(r.Heal))
	if r.DiskSkipped != "" {
		fmt.Fprintf(b, "disk                 never filled: %s\n", r.DiskSkipped)
	}
	for _, v := range r.Violations {
		fmt.Fprintf(b, "VIOLATION: %s\n", v)
	}
	return b.String()
}

func counts(m map[string]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(parts, ", ")
}

func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Millisecond)
}
