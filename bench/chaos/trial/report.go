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
	Of           string         // the trial in words
	Deletions    int            // of users, real ones
	Steps        map[string]int // by kind and fault
	Struck       map[string]int // requests that a fault affected, by fault
	AutoDisabled int            // times that Kazoo gave up on a hook by itself
	Starts       int            // lives of the receiver
	Sources      map[string]int // user.deleted events by source
	Suppressed   int            // requests that were duplicates
	Lines        int            // of events in the log, repeated ones included
	Confirmed    int            // confirmed mass deletions
	Unknowable   int            // users whose deletion can't be known; see evidence.knowable
	Doubles      int            // edits reported twice, where that can't be avoided
	Restored     int            // times that the journal was replaced
	Compared     int            // times that the journals of all nodes were compared
	Healed       bool
	Heal         time.Duration // from the last fault until every deletion was known
	Lag          [3]time.Duration
	Onward       map[string]Figures // by destination
	DiskSkipped  string             // why the disk was not filled
	PowerSkipped string             // why no power was cut; "" also if it was not asked for
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
	if s.Mode != "" {
		name += " " + string(s.Mode)
	}
	r.Steps[name]++
}

func (r *Report) strike(kind string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Struck[kind] += n
}

// judge compares what happened with what the receiver knows.
func (r *run) judge(ctx context.Context) (*Report, error) {
	rep, lines := r.report, r.receiver.Lines
	journal, err := r.receiver.History(ctx)
	if err != nil {
		return nil, err
	}
	truth := r.world.Truth()
	r.wrongMu.Lock()
	r.troubles = append(r.troubles, lines.takeOvers()...)
	r.wrongMu.Unlock()
	if err := r.sameHistory(ctx, journal); err != nil {
		return nil, err
	}
	e := r.evidence()
	e.journal = journal
	rep.Violations, rep.Unknowable, rep.Doubles = e.verdict()
	undelivered, err := r.judgeDeliveries(ctx, journal)
	if err != nil {
		return nil, err
	}
	rep.Violations = slices.Concat(rep.Violations, undelivered, r.wrong, r.repeated(), lines.Conflicts(), r.failures())
	rep.Restored = len(e.restored)
	rep.Starts, rep.AutoDisabled, rep.Confirmed = r.starts(), truth.AutoDisabled, int(r.confirms.Load())
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
	fmt.Fprintf(b, "seed %d               %s\n", r.Seed, r.Of)
	fmt.Fprintf(b, "deletions            %d\n", r.Deletions)
	fmt.Fprintf(b, "steps                %s\n", counts(r.Steps))
	fmt.Fprintf(b, "requests spoilt      %s\n", counts(r.Struck))
	fmt.Fprintf(b, "hooks disabled       %d times by Kazoo itself\n", r.AutoDisabled)
	fmt.Fprintf(b, "receiver started     %d times\n", r.Starts)
	fmt.Fprintf(b, "user.deleted         %s\n", counts(r.Sources))
	fmt.Fprintf(b, "duplicates           %d suppressed; %d lines in the log\n", r.Suppressed, r.Lines)
	fmt.Fprintf(b, "confirmations        %d\n", r.Confirmed)
	fmt.Fprintf(b, "journal replaced     %d times\n", r.Restored)
	fmt.Fprintf(b, "can't be known       %d deleted users; %d edits reported twice\n", r.Unknowable, r.Doubles)
	fmt.Fprintf(b, "known after          %s in the middle, %s for 99 of 100, %s at most\n", round(r.Lag[0]), round(r.Lag[1]), round(r.Lag[2]))
	fmt.Fprintf(b, "healed               %t, %s after the last fault\n", r.Healed, round(r.Heal))
	b.WriteString(onwardLines(r.Onward))
	if r.DiskSkipped != "" {
		fmt.Fprintf(b, "disk                 never filled: %s\n", r.DiskSkipped)
	}
	if r.PowerSkipped != "" {
		fmt.Fprintf(b, "power                never cut: %s\n", r.PowerSkipped)
	}
	if r.Compared > 0 {
		b.WriteString("journals             the same on all nodes\n")
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
