package trial

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// delivered is the evidence for the verdict on one destination.
type delivered struct {
	destination string
	order       string
	poison      bool
	arrivals    []arrival // in order
	journal     []Event   // at the end, in order
	dead        map[string]bool
	waits       int         // events that it still refuses at the end: no dead letters yet
	deaths      []time.Time // of the receiver
	troubles    []span      // spans in which no outcome can be recorded
	restored    []restoration
}

// span is a span of time.
type span struct{ from, to time.Time }

// recordedWithin is the longest time from an answer until its outcome is recorded. It
// is long because the machine may be busy.
const recordedWithin = 10 * time.Second

// Figures counts the attempts at a destination.
type Figures struct {
	Attempts, Delivered, Repeated, Dead int
}

// verdict judges the attempts at a destination:
//   - every event of the journal arrived, or is a dead letter, which only a
//     destination that refuses some may have;
//   - the events of each ordering key arrived for the first time in their order;
//   - an event that arrived, and whose outcome was recorded, did not come again.
func (d *delivered) verdict() (violations []string, f Figures) {
	wrong := func(format string, args ...any) {
		violations = append(violations, d.destination+": "+fmt.Sprintf(format, args...))
	}
	first := map[string]arrival{}
	for _, a := range d.arrivals {
		f.Attempts++
		was, again := first[a.event.ID]
		switch {
		case again && !was.late && d.recorded(was.at, a.at):
			wrong("event %d (%s) came %s and again %s later, though its delivery was recorded", a.event.Seq, a.event.ID, clockTime(was.at), a.at.Sub(was.at))
		case again:
			f.Repeated++
		case a.ok:
			first[a.event.ID] = a
		}
	}
	for _, e := range d.journal {
		if !forDestinations(e) {
			continue
		}
		_, ok := first[e.ID]
		switch {
		case ok:
			f.Delivered++
		case d.dead[e.ID]:
			f.Dead++
		case d.poison && poisonous(e) && d.waits > 0:
			d.waits--
		default:
			wrong("event %d (%s, %s of %s) is neither delivered nor a dead letter", e.Seq, e.ID, e.Event, e.ObjectID)
		}
		if d.dead[e.ID] && !d.poison {
			wrong("event %d (%s) is a dead letter, and the destination took others meanwhile or nothing", e.Seq, e.ID)
		}
	}
	return append(violations, d.outOfOrder(first)...), f
}

// recorded reports whether the outcome of an answer was recorded before again: the
// receiver ran for long enough after the answer, and could write.
func (d *delivered) recorded(answered, again time.Time) bool {
	safe := answered.Add(recordedWithin)
	if again.Before(answered) || d.poison && again.Before(safe) {
		return false
	}
	for _, death := range d.deaths {
		if death.After(answered) && death.Before(safe) {
			return false
		}
	}
	for _, t := range d.troubles {
		if t.from.Before(safe) && t.to.After(answered) {
			return false
		}
	}
	return !slices.ContainsFunc(d.restored, func(r restoration) bool { return r.at.After(answered) && r.at.Before(again) })
}

// outOfOrder finds events that arrived before an earlier one of the same key.
func (d *delivered) outOfOrder(first map[string]arrival) (violations []string) {
	if d.order == "none" || len(d.restored) > 0 { // a replaced journal has new numbers
		return nil
	}
	list := make([]arrival, 0, len(first))
	for _, a := range first {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b arrival) int { return a.at.Compare(b.at) })
	last := map[string]Event{}
	for _, a := range list {
		typ, _, _ := strings.Cut(a.event.Event, ".")
		key := typ + "/" + a.event.ObjectID
		if d.order == "all" {
			key = ""
		}
		if before := last[key]; before.Seq > a.event.Seq {
			violations = append(violations, fmt.Sprintf("%s: event %d (%s) arrived after event %d of the same key", d.destination, a.event.Seq, a.event.ID, before.Seq))
		}
		last[key] = a.event
	}
	return violations
}

func clockTime(t time.Time) string { return t.Format("15:04:05.000") }

// judgeDeliveries judges all destinations.
func (r *run) judgeDeliveries(ctx context.Context, journal []Event) (violations []string, err error) {
	states, err := r.destinationStates(ctx)
	if err != nil {
		return nil, err
	}
	dead, err := r.deadLetters(ctx) // afterwards: what waited may be dead by then
	if err != nil {
		return nil, err
	}
	r.wrongMu.Lock()
	troubles, restored := slices.Clone(r.troubles), slices.Clone(r.restored)
	r.wrongMu.Unlock()
	r.report.Onward = map[string]Figures{}
	for _, dest := range r.onwards.list {
		d := delivered{
			destination: dest.name, order: dest.order, poison: dest.poison, journal: journal, dead: dead[dest.name],
			waits: states[dest.name].Waiting, deaths: r.receiver.Deaths(), troubles: troubles, restored: restored,
		}
		var wrong []string
		if d.arrivals, wrong, err = dest.seen(ctx); err != nil {
			return nil, err
		}
		for _, text := range wrong {
			violations = append(violations, dest.name+": "+text)
		}
		found, figures := d.verdict()
		violations = append(violations, found...)
		r.report.Onward[dest.name] = figures
	}
	return violations, nil
}

// onwardLines prints the figures for people.
func onwardLines(m map[string]Figures) string {
	b := &strings.Builder{}
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.SortFunc(names, cmp.Compare)
	for _, name := range names {
		f := m[name]
		fmt.Fprintf(b, "%-20s %d attempts, %d events delivered, %d dead letters, %d repeated after a kill\n", "to "+name, f.Attempts, f.Delivered, f.Dead, f.Repeated)
	}
	return b.String()
}
