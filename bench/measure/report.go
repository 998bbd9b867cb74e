package measure

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Report has all figures; parts that were not measured are empty. Times and rates
// are those of this machine, ratios carry over.
type Report struct {
	Machine    Machine    `json:"machine"`
	SyncMicros Spread     `json:"sync_us"` // one write and sync of a page
	Ack        []Ack      `json:"ack,omitempty"`
	AckFloor   AckFloor   `json:"ack_floor"`
	Arrivals   []Arrival  `json:"arrivals,omitempty"`
	LogLines   []LogLine  `json:"log_lines,omitempty"`
	Decoding   []Decoding `json:"decoding,omitempty"`
	Starts     []Start    `json:"starts,omitempty"`
	Memory     []Memory   `json:"memory,omitempty"`
	Queries    []Query    `json:"queries,omitempty"`
	Growth     []Growth   `json:"growth,omitempty"`

	Onward      []Onward      `json:"onward,omitempty"`
	OnwardDelay []OnwardDelay `json:"onward_delay,omitempty"`

	Cluster  []Cluster  `json:"cluster,omitempty"`
	TakeOver []TakeOver `json:"take_over,omitempty"`
}

// Print writes tables for people: median, lowest and highest of the rounds.
func (r *Report) Print(w io.Writer) error {
	t := &tables{w: w}
	t.text("%s\n", r.Machine)
	if t.begin(len(r.Ack), "Receive path, closed loop", "variant", "connections", "a second", "of bare", "of no journal", "of ideal", "of before", "median µs", "p99 µs", "server CPU µs", "CPU of bare", "syncs/event", "peak MB") {
		for _, a := range r.Ack {
			t.row(a.Variant, a.Conns, a.PerSecond, a.OfBare, a.OfNoJournal, a.OfIdeal, a.OfBefore, a.MedianMicros, a.P99Micros, a.ServerCPU, a.CPUOfBare, figure(a.SyncsPerEvent.Median), a.PeakMB)
		}
		t.end()
		f := r.AckFloor
		t.text("At 1 connection the full path's median is %s of the bare handler's that syncs a page, which takes that one %s µs (%s µs without pauses between).\n",
			f.OfBareWithSync, f.SyncMicros, f.TightSyncMicros)
	}
	if t.begin(len(r.Arrivals), "Answer at a fixed rate of arrival, from the scheduled time", "variant", "of capacity", "a second", "p50 µs", "p90 µs", "p99 µs", "p99.9 µs", "p50 of bare", "p99 of bare") {
		for _, a := range r.Arrivals {
			t.row(a.Variant, a.OfCapacity, figure(a.PerSecond), a.P50Micros, a.P90Micros, a.P99Micros, a.P999Micros, a.P50OfBare, a.P99OfBare)
		}
		t.end()
	}
	if t.begin(len(r.LogLines), "From request to log line", "of capacity", "a second", "p50 µs", "p99 µs", "p50 of a sync", "p99 of a sync") {
		for _, l := range r.LogLines {
			t.row(l.OfCapacity, figure(l.PerSecond), l.P50Micros, l.P99Micros, l.P50OfSync, l.P99OfSync)
		}
		t.end()
	}
	if t.begin(len(r.Decoding), "Taking a body apart", "body", "way", "ns", "bytes", "allocations", "of hand-written", "of url.ParseQuery") {
		for _, d := range r.Decoding {
			t.row(d.Body, d.Way, d.Nanos, d.Bytes, d.Allocs, d.OfHand, d.OfQuery)
		}
		t.end()
	}
	if t.begin(len(r.Starts), "From the start of the process", "events", "listening ms", "first 200 ms", "ready ms", "ready of smallest", "idle MB") {
		for _, s := range r.Starts {
			t.row(s.Events, s.ListenMS, s.FirstMS, s.ReadyMS, s.OfFirst, s.IdleMB)
		}
		t.end()
	}
	if t.begin(len(r.Memory), "Resident memory, highest", "situation", "MB", "of idle") {
		for _, m := range r.Memory {
			t.row(m.Situation, m.PeakMB, m.OfIdle)
		}
		t.end()
	}
	if t.begin(len(r.Queries), "Queries, up to 100 events each", "kind", "events", "found", "median ms", "p99 ms", "median of smallest") {
		for _, q := range r.Queries {
			t.row(q.Kind, q.Events, q.Found, q.MedianMS, q.P99MS, q.OfFirst)
		}
		t.end()
	}
	if t.begin(len(r.Growth), "The whole program under full load, by the journal's size", "events", "connections", "a second", "of smallest", "p50 ms", "p99 ms", "peak MB", "first 200 after SIGKILL, ms") {
		for _, g := range r.Growth {
			t.row(g.Events, g.Conns, g.PerSecond, g.OfFirst, g.P50MS, g.P99MS, g.PeakMB, g.AfterKillMS)
		}
		t.end()
	}
	if t.begin(len(r.Onward), "Delivering onward to a local receiver", "at once", "a second", "bare client a second", "of bare") {
		for _, o := range r.Onward {
			t.row(o.Concurrency, o.PerSecond, o.BarePerSecond, o.OfBare)
		}
		t.end()
	}
	if t.begin(len(r.OnwardDelay), "From request to first attempt", "requests a second", "p50 µs", "p99 µs", "p99 of a sync") {
		for _, d := range r.OnwardDelay {
			t.row(figure(d.PerSecond), d.P50Micros, d.P99Micros, d.P99OfSync)
		}
		t.end()
	}
	if t.begin(len(r.Cluster), "A cluster under full load", "nodes", "connections", "a second", "of one node", "p50 ms", "p99 ms", "CPU µs a request", "peak MB a node") {
		for _, c := range r.Cluster {
			t.row(c.Nodes, c.Conns, c.PerSecond, c.OfSingle, c.P50MS, c.P99MS, c.CPUMicros, c.PeakMB)
		}
		t.end()
	}
	if t.begin(len(r.TakeOver), "The leader of a cluster is lost", "another leads after ms", "longest wait for an answer ms", "for a 200 ms") {
		for _, o := range r.TakeOver {
			t.row(o.LeaderMS, o.AnswerMS, o.LongestMS)
		}
		t.end()
	}
	return t.err
}

// tables writes several tables and keeps the first error.
type tables struct {
	w   io.Writer
	tab *tabwriter.Writer
	err error
}

func (t *tables) text(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format, args...)
	}
}

// begin starts a table unless it has no rows.
func (t *tables) begin(rows int, title string, columns ...string) bool {
	if rows == 0 {
		return false
	}
	t.text("\n%s\n", title)
	t.tab = tabwriter.NewWriter(t.w, 0, 0, 2, ' ', 0)
	t.line(strings.Join(columns, "\t"))
	return true
}

func (t *tables) row(cells ...any) {
	text := make([]string, len(cells))
	for i, c := range cells {
		text[i] = fmt.Sprint(c)
	}
	t.line(strings.Join(text, "\t"))
}

func (t *tables) line(s string) {
	if t.err == nil {
		_, t.err = fmt.Fprintln(t.tab, s)
	}
}

func (t *tables) end() {
	if t.err == nil {
		t.err = t.tab.Flush()
	}
}
