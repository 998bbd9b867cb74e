package trial

import (
	"fmt"
	"slices"
	"time"

	"kazoohook/internal/crossbar/crossbartest"
)

const userDeleted = "user.deleted"

// evidence is what a verdict rests on.
type evidence struct {
	users   []*user
	firings []crossbartest.Firing
	journal []Event          // in order
	logged  map[string]Event // by event_id
	resyncs []time.Time      // ends of complete comparisons
}

// everybody judges what the receiver knows of each user. The rule, which for one
// that was deleted once and stayed so means exactly one event, and for a living
// one none:
//   - never more user.deleted than real deletions, however often Kazoo said it;
//   - at least one if it is gone, unless that is beyond knowledge;
//   - if it had come back and is gone again, one that is younger than its return,
//     provided that the return was there to be seen: longer after the known
//     deletion than an echo may take, and while two comparisons were completed.
func (e *evidence) everybody() (violations []string, unknowable int) {
	known := map[string][]Event{}
	for _, ev := range e.journal {
		if ev.Event == userDeleted {
			known[ev.ObjectID] = append(known[ev.ObjectID], ev)
		}
	}
	recorded := e.recorded()
	for _, u := range e.users {
		events := known[u.id]
		if n := len(events); n > len(u.deleted) {
			violations = append(violations, fmt.Sprintf("user %s was deleted %d times and has %d user.deleted: %s", u.id, len(u.deleted), n, describe(events)))
		}
		if u.living() {
			continue
		}
		last := u.deleted[len(u.deleted)-1]
		switch {
		case len(events) == 0 && !e.knowable(u, recorded):
			unknowable++
		case len(events) == 0:
			violations = append(violations, fmt.Sprintf("user %s was deleted at %s and has no user.deleted", u.id, stamp(last)))
		case len(u.revived) > 0:
			back := u.revived[len(u.revived)-1]
			after := func(ev Event) bool { return ev.ReceivedAt.After(back) }
			if e.witnessed(events, back, last) && !slices.ContainsFunc(events, after) {
				violations = append(violations, fmt.Sprintf("user %s came back at %s and was deleted again at %s, of which there is no event: %s",
					u.id, stamp(back), stamp(last), describe(events)))
			}
		}
	}
	return violations, unknowable
}

// recorded are the users of whose deletion Kazoo told, or keeps a record that
// it could not.
func (e *evidence) recorded() map[string]bool {
	wrong := map[string]bool{}
	for _, u := range e.users {
		wrong[u.id] = u.clock
	}
	recorded := map[string]bool{}
	for _, f := range e.firings {
		if f.Action != "doc_deleted" {
			continue
		}
		switch f.Outcome {
		case crossbartest.OutcomeDelivered:
			recorded[f.ObjectID] = true
		case crossbartest.OutcomeRefused, crossbartest.OutcomeExhausted:
			// Where Kazoo's clock was wrong the record is under a time at which
			// nobody looks for it.
			recorded[f.ObjectID] = recorded[f.ObjectID] || !wrong[f.ObjectID]
		}
	}
	return recorded
}

// knowable says that the deletion of a user can be known: the user was there at
// the start, or Kazoo has told, or a comparison saw it alive. One that came and
// went where Kazoo told nobody and nobody looked is beyond knowledge.
func (e *evidence) knowable(u *user, recorded map[string]bool) bool {
	return u.created.IsZero() || recorded[u.id] || between2(e.resyncs, u.created, u.deleted[len(u.deleted)-1])
}

// witnessed says that a return could be seen.
func (e *evidence) witnessed(events []Event, back, gone time.Time) bool {
	from := back
	for _, ev := range events {
		if ev.ReceivedAt.Before(back) {
			from = later(from, ev.ReceivedAt.Add(margin))
		}
	}
	return between2(e.resyncs, from, gone)
}

// between2 says that at least two of the times lie between from and to: then the
// whole of the second comparison does.
func between2(times []time.Time, from, to time.Time) bool {
	n := 0
	for _, t := range times {
		if t.After(from) && t.Before(to) {
			n++
		}
	}
	return n >= 2
}

// verdict lists what is wrong.
func (e *evidence) verdict() (violations []string, unknowable int) {
	violations, unknowable = e.everybody()
	return slices.Concat(violations, e.answered(), Compare(e.journal, e.logged)), unknowable
}

// answered proves that each delivery which was answered 200 has its line.
func (e *evidence) answered() (violations []string) {
	lines := map[string]bool{}
	for _, ev := range e.logged {
		lines[ev.Event+" "+ev.ObjectID] = true
	}
	for _, f := range e.firings {
		if f.Outcome == crossbartest.OutcomeDelivered && f.Action == "doc_deleted" && !lines[f.ObjectType+".deleted "+f.ObjectID] {
			violations = append(violations, fmt.Sprintf("%s of %s was answered 200 at %s and has no line in the log", f.Event, f.ObjectID, stamp(f.Ended)))
		}
	}
	return violations
}

func describe(events []Event) string {
	s := ""
	for _, ev := range events {
		s += fmt.Sprintf("[seq %d %s %s]", ev.Seq, ev.Source, stamp(ev.ReceivedAt))
	}
	return s
}

func stamp(t time.Time) string { return t.UTC().Format("15:04:05.000") }
