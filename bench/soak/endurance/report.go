package endurance

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"kazoohook/internal/fakekazoo"
)

// Report is the outcome of a soak.
type Report struct {
	Seconds      float64
	Rate         float64 // requests a second, measured
	Lives, Kills int
	Firings      int                       // by Kazoo, or by a client with the secret
	Outcomes     map[fakekazoo.Outcome]int // of Kazoo's
	Events       int                       // distinct events that were logged
	ByFamily     map[string]int
	Sources      map[string]int
	Repeats      int            // lines logged again after a kill
	Pruned       int            // events that retention removed
	Kept         int            // events in the journal at the end
	Broken       map[string]int // tries of a request that failed, by the reason
	AutoDisabled int            // times that Kazoo gave up on a hook
	Queries      int
	Streams      int // opened
	Streamed     int // events in them
	Overrun      int // times that retention overtook a stream, which reported it
	Strangers    int
	Messages     map[string]int // other messages of the receiver: warnings and errors
	Comparisons  []Comparison
	Violations   []string
	Violated     int // number of violations; Violations quotes some
}

// judge compares what happened with what the receiver logged.
func (r *run) judge(ctx context.Context) (*Report, error) {
	journal, err := r.receiver.History(ctx)
	if err != nil {
		return nil, err
	}
	o, samples, l := r.opts, r.sampler.all(), r.ledger
	rep := &Report{
		Seconds: o.For.Seconds(), Lives: r.receiver.Starts(), Kills: r.kills, Kept: len(journal), AutoDisabled: r.kazoo.Truth().AutoDisabled,
		Queries: int(r.readers.queries.Load()), Streams: int(r.readers.opened.Load()), Streamed: int(r.readers.streamed.Load()),
		Overrun: int(r.readers.overrun.Load()), Strangers: int(r.strangers.sent.Load()), ByFamily: map[string]int{}, Messages: map[string]int{}, Broken: r.proxy.failures(),
		Comparisons: flat(samples, o),
	}
	rep.Violations, rep.Violated = l.close(journal)
	more := slices.Concat(r.readers.violations(), r.receiver.Lines.Conflicts(), r.receiver.Failures(), bounded(samples, o))
	rep.Violations, rep.Violated = append(rep.Violations, more...), rep.Violated+len(more)
	rep.Firings, rep.Outcomes, rep.Sources, rep.Repeats = l.Firings, l.Outcomes, l.Sources, l.Repeats
	rep.Events, rep.Rate = l.Lines-l.Repeats, float64(l.Firings)/o.For.Seconds()
	for name, n := range l.Events {
		family, _, _ := strings.Cut(name, ".")
		rep.ByFamily[family] += n
	}
	for message, n := range r.receiver.Lines.Messages() {
		if !strings.HasPrefix(message, "info") {
			rep.Messages[message] = n
		}
	}
	pruned := map[int]float64{}
	for _, s := range samples {
		pruned[s.Life] = max(pruned[s.Life], s.Pruned)
	}
	for _, n := range pruned {
		rep.Pruned += int(n)
	}
	return rep, nil
}

// Passed reports that nothing grew and nothing was lost or logged twice.
func (r *Report) Passed() bool {
	return r.Violated == 0 && !slices.ContainsFunc(r.Comparisons, func(c Comparison) bool { return !c.Flat })
}

// Grown names the comparisons that found growth. Unlike in Passed, too few samples
// are no fault: a third must have a median.
func (r *Report) Grown() (names []string) {
	const enough = 9
	for _, c := range r.Comparisons {
		if !c.Flat && c.Samples >= enough {
			names = append(names, c.Measure+" "+c.Span)
		}
	}
	return names
}

// String is the report for people.
func (r *Report) String() string {
	b := &bytes.Buffer{}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(t, name+"\t"+format+"\n", args...) // into memory
	}
	row("deliveries", "%d in %s, %.0f a second: %s", r.Firings, time.Duration(r.Seconds*float64(time.Second)), r.Rate, counts(r.Outcomes))
	row("events", "%d: %s", r.Events, counts(r.Sources))
	row("of which", "%s", counts(r.ByFamily))
	row("lives", "%d, %d ended by SIGKILL; %d lines logged again after those", r.Lives, r.Kills, r.Repeats)
	row("retention", "removed %d events; %d are left", r.Pruned, r.Kept)
	row("readers", "%d queries, %d live streams with %d events, overtaken by retention %d times; %d strangers", r.Queries, r.Streams, r.Streamed, r.Overrun, r.Strangers)
	row("tries that failed", "%s", counts(r.Broken))
	row("hooks given up on", "%d times by Kazoo", r.AutoDisabled)
	for _, m := range slices.Sorted(maps.Keys(r.Messages)) {
		row("said", "%d times %s", r.Messages[m], m)
	}
	_ = t.Flush() // into memory
	t = tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "\nmeasure\tspan\tsamples\tfirst third\tlast third\tlimit\tleast\thighest\t")
	for _, c := range r.Comparisons {
		verdict := "flat"
		if !c.Flat {
			verdict = "NOT FLAT"
		}
		_, _ = fmt.Fprintf(t, "%s %s\t%s\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%s\n", c.Measure, c.Unit, c.Span, c.Samples, c.First, c.Last, c.Limit, c.Least, c.Highest, verdict)
	}
	_ = t.Flush()
	for _, v := range r.Violations {
		fmt.Fprintf(b, "VIOLATION: %s\n", v)
	}
	if n := r.Violated - len(r.Violations); n > 0 {
		fmt.Fprintf(b, "and %d violations more\n", n)
	}
	return b.String()
}

func counts[K ~string](m map[K]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(parts, ", ")
}
