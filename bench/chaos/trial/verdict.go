package trial

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const userDeleted = "user.deleted"

// evidence is what the verdict is based on.
type evidence struct {
	hooks    string // HOOKS
	plain    bool   // only nodes of a cluster break
	users    []*user
	firings  []firing
	journal  []Event          // in order
	logged   map[string]Event // by event_id
	resyncs  []time.Time      // ends of complete comparisons
	shown    map[string][]time.Time
	looked   map[string][]time.Time
	restored []restoration
	nameless []string // hooks that another client deleted or renamed
}

// restoration is the replacement of a journal by an earlier copy, or by nothing: then
// copied is zero.
type restoration struct {
	copied, at time.Time
	named      map[string]bool // ids of the hooks that had the receiver's name at the time
}

// forgotten reports whether the journal lost what it learned at a time.
func (e *evidence) forgotten(t time.Time) bool {
	return slices.ContainsFunc(e.restored, func(r restoration) bool { return t.After(r.copied) && t.Before(r.at) })
}

// nobodys reports whether nothing shows any more that a failed firing was the
// receiver's. Its attempts went to another address, the journal that knew the hook's
// id was replaced, and the hook was renamed or deleted.
func (e *evidence) nobodys(f firing) bool {
	return f.astray && slices.ContainsFunc(e.restored, func(r restoration) bool {
		return f.ended.After(r.copied) && f.ended.Before(r.at) && (!r.named[f.HookID] || slices.Contains(e.nameless, f.HookID))
	})
}

// onRecord reports whether the receiver can read back a firing.
func (e *evidence) onRecord(f firing) bool { return f.failed() && !e.nobodys(f) }

// known returns the events of one name, by object, that the journal or the log has:
// an event that was lost with a journal stays in the log.
func (e *evidence) known(name string) map[string][]Event {
	all := maps.Clone(e.logged)
	for _, ev := range e.journal {
		all[ev.ID] = ev
	}
	known := map[string][]Event{}
	for _, ev := range all {
		if ev.Event == name {
			known[ev.ObjectID] = append(known[ev.ObjectID], ev)
		}
	}
	for _, events := range known {
		slices.SortFunc(events, func(a, b Event) int { return a.ReceivedAt.Compare(b.ReceivedAt) })
	}
	return known
}

// everybody judges what the receiver knows of each user. A user that was deleted
// once and not restored has exactly one event, a living one has none. The rules:
//   - never more user.deleted than real deletions, however often Kazoo fired;
//   - at least one if the user is deleted, unless that can't be known;
//   - if the user was restored and deleted again, one after the restore, provided
//     that the receiver could see the restored user.
func (e *evidence) everybody() (violations []string, unknowable int) {
	held := map[string][]Event{} // by the present journal
	for _, ev := range e.journal {
		if ev.Event == userDeleted {
			held[ev.ObjectID] = append(held[ev.ObjectID], ev)
		}
	}
	known := e.known(userDeleted)
	firings := e.byObject()
	for _, u := range e.users {
		events := known[u.id]
		if n := len(held[u.id]); n > len(u.deleted) {
			violations = append(violations, fmt.Sprintf("user %s was deleted %d times and has %d user.deleted: %s", u.id, len(u.deleted), n, describe(held[u.id])))
		}
		if u.living() {
			continue
		}
		last := u.deleted[len(u.deleted)-1]
		switch {
		case len(events) == 0 && !e.knowable(u, firings[u.id]):
			unknowable++
		case len(events) == 0:
			violations = append(violations, fmt.Sprintf("user %s was deleted at %s and has no user.deleted; %s", u.id, stamp(last), e.story(u, firings[u.id])))
		case len(u.revived) > 0:
			back := u.revived[len(u.revived)-1]
			after := func(ev Event) bool { return ev.ReceivedAt.After(back) }
			if e.witnessed(u, events, back, last) && !slices.ContainsFunc(events, after) {
				violations = append(violations, fmt.Sprintf("user %s came back at %s and was deleted again at %s, of which there is no event: %s; %s",
					u.id, stamp(back), stamp(last), describe(events), e.story(u, firings[u.id])))
			}
		}
	}
	return violations, unknowable
}

// byObject groups the firings by their object.
func (e *evidence) byObject() map[string][]firing {
	m := map[string][]firing{}
	for _, f := range e.firings {
		m[f.ObjectID] = append(m[f.ObjectID], f)
	}
	return m
}

// knowable reports whether the deletion of a user can be known. It can't if neither
// an event nor a completed listing showed the user before its deletion, and the
// deletion left no failed attempt. What the journal lost in a restore doesn't
// count.
func (e *evidence) knowable(u *user, firings []firing) bool {
	last := u.deleted[len(u.deleted)-1]
	for _, f := range firings {
		if !e.onRecord(f) && (!f.arrived() || e.forgotten(f.ended)) {
			continue
		}
		if f.Action == "doc_deleted" || f.ended.Before(last) {
			return true
		}
	}
	return e.listed(u, time.Time{}, last)
}

// listed reports whether a completed comparison saw a user between two times.
func (e *evidence) listed(u *user, from, to time.Time) bool {
	for i, end := range e.resyncs {
		begin := from
		if i > 0 {
			begin = later(begin, e.resyncs[i-1])
		}
		if !end.Before(to) || e.forgotten(end) {
			continue
		}
		if slices.ContainsFunc(e.shown[u.id], func(at time.Time) bool { return at.After(begin) && at.Before(end) }) {
			return true
		}
	}
	return false
}

// witnessed reports whether the receiver could see that a user was restored: longer
// after the known deletion than an echo may take, a comparison saw the user, or a
// look-up found it.
func (e *evidence) witnessed(u *user, events []Event, back, deleted time.Time) bool {
	from := back
	for _, ev := range events {
		if ev.ReceivedAt.Before(back) {
			from = later(from, ev.ReceivedAt.Add(margin))
		}
	}
	if e.forgotten(back) || e.forgotten(deleted) {
		return false
	}
	return e.listed(u, from, deleted) &&
		slices.ContainsFunc(e.looked[u.id], func(at time.Time) bool { return at.After(from) && at.Before(deleted) })
}

// verdict lists the violations.
func (e *evidence) verdict() (violations []string, unknowable, doubles int) {
	violations, unknowable = e.everybody()
	wrong, doubles := e.edits()
	return slices.Concat(violations, wrong, e.answered(), e.failed(), e.hidden(), e.renamed(), Compare(e.journal, e.logged, e.restored...)), unknowable, doubles
}

// visible reports whether HOOKS names all events of users, so that creations and edits
// are events. Otherwise they only change the snapshot.
func (e *evidence) visible() bool { return strings.Contains(e.hooks+",", "object:user,") }

// eventOf is the name of the event that a firing makes.
func eventOf(f firing) string {
	return f.ObjectType + map[string]string{"doc_created": ".created", "doc_edited": ".edited", "doc_deleted": ".deleted"}[f.Action]
}

// answered proves that each request about an object that was answered 200 has its
// line. Requests of the hook for webhook_disabled are hidden.
func (e *evidence) answered() (violations []string) {
	lines := map[string]bool{}
	for _, ev := range e.logged {
		lines[ev.Event+" "+ev.ObjectID] = true
	}
	for _, f := range e.firings {
		if f.arrived() && f.ObjectType != "" && (f.Action == "doc_deleted" || e.visible()) && !lines[eventOf(f)+" "+f.ObjectID] && !e.forgotten(f.ended) {
			violations = append(violations, fmt.Sprintf("%s of %s was answered 200 at %s and has no line in the log", f.Event, f.ObjectID, stamp(f.ended)))
		}
	}
	return violations
}

// hidden proves that events that only change the snapshot are shown nowhere.
func (e *evidence) hidden() (violations []string) {
	for _, ev := range e.logged {
		if !e.visible() && (ev.Event == "user.created" || ev.Event == "user.edited") {
			violations = append(violations, fmt.Sprintf("HOOKS doesn't name %s, and event %d (%s) is one", ev.Event, ev.Seq, ev.Source))
		}
	}
	return violations
}

// renamed proves that the journal keeps its name, whatever breaks, unless it is
// replaced: until then its numbers can be compared.
func (e *evidence) renamed() (violations []string) {
	names := map[string]bool{}
	for _, ev := range e.logged {
		names[ev.Journal] = true
	}
	if len(names) > 1 && len(e.restored) == 0 {
		violations = append(violations, fmt.Sprintf("the journal was not replaced and has several names: %v", slices.Sorted(maps.Keys(names))))
	}
	return violations
}

// unknown returns the users whose deletion, or an edit, should be in the log and
// isn't.
func (e *evidence) unknown() (ids []string) {
	firings, deleted, edited := e.byObject(), e.known(userDeleted), e.known("user.edited")
	for _, u := range e.users {
		least, _, _ := e.bounds(firings[u.id])
		if !u.living() && len(deleted[u.id]) == 0 && e.knowable(u, firings[u.id]) || e.visible() && len(edited[u.id]) < least {
			ids = append(ids, u.id)
		}
	}
	return ids
}

func describe(events []Event) string {
	s := ""
	for _, ev := range events {
		s += fmt.Sprintf("[seq %d %s %s]", ev.Seq, ev.Source, stamp(ev.ReceivedAt))
	}
	return s
}

// story tells what happened to a user, for people.
func (e *evidence) story(u *user, firings []firing) string {
	s := "created " + stamp(u.created)
	for _, at := range e.shown[u.id] {
		s += ", listed " + stamp(at)
	}
	for _, at := range e.looked[u.id] {
		s += ", looked up " + stamp(at)
	}
	return s + "; " + listFirings(firings)
}

func listFirings(firings []firing) string {
	s := "firings:"
	for _, f := range firings {
		s += fmt.Sprintf(" [%s %s by %s after %d tries, elsewhere: %t, hook %.8s, event_id %s]", f.Action, f.Outcome, stamp(f.ended), f.Tries, f.elsewhere, f.HookID, f.EventID)
	}
	return s
}

func stamp(t time.Time) string { return t.UTC().Format("15:04:05.000") }
