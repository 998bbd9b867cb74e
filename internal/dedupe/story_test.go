package dedupe_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"kazoohook/internal/dedupe"
	"kazoohook/internal/event"
	"kazoohook/internal/snapshot"
)

// story is a journal in memory: it applies what happens as package journal does.
type story struct {
	at      snapshot.At
	last    int64 // number of the newest event
	asked   int64 // number of the newest command when the look-up in flight was sent
	objects map[event.Key]snapshot.Object
	content map[event.Key]int64
	open    map[event.Key][]dedupe.Unanswered
	firings map[string]int64
	tries   map[string]int64
}

func newStory() *story {
	wall := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return &story{
		at:      snapshot.At{Clock: snapshot.Clock(wall.UnixNano()), Wall: wall},
		objects: map[event.Key]snapshot.Object{}, content: map[event.Key]int64{},
		open: map[event.Key][]dedupe.Unanswered{}, firings: map[string]int64{}, tries: map[string]int64{},
	}
}

func (s *story) Object(k event.Key) (snapshot.Object, bool) {
	o, ok := s.objects[k]
	return o, ok
}

func (s *story) Content(r *event.Record) (int64, bool) {
	seq, ok := s.content[r.Dedupe.Key]
	return seq, ok
}

func (s *story) Unanswered(r *event.Record) []dedupe.Unanswered {
	return s.open[r.Dedupe.Key]
}

func (s *story) Firing(hookID, id string) (int64, bool) {
	seq, ok := s.firings[hookID+"/"+id]
	return seq, ok
}

func (s *story) Tried(k event.Key, requestID string) (int64, bool) {
	seq, ok := s.tries[fmt.Sprint(k, requestID)]
	return seq, ok
}

// step is the syntax of one step. p1 is a request id of a proxy.
var step = regexp.MustCompile(`^(?:(f\d+|p\d+|hidden|refused|late|wrong)/)?(?:(a|b|hook2|call):)?(created|edited|deleted|found|404|wanted-?|ask|answer|listed|missing-?)([!?])?(?:@(-?\d+[a-z]+))?(?:([:=])(\d+))?$`)

func (s *story) do(text string) error {
	s.at.Number++
	switch {
	case text[0] == '+':
		d, err := time.ParseDuration(text[1:])
		s.at.Clock, s.at.Wall = s.at.Clock.Add(d), s.at.Wall.Add(d)
		return err
	case strings.HasPrefix(text, "wall"):
		d, err := time.ParseDuration(text[len("wall"):])
		s.at.Wall = s.at.Wall.Add(d)
		return err
	case text == "crash":
		for _, held := range s.open {
			for i := range held {
				held[i].BeforeCrash = !held[i].Failed
			}
		}
		return nil
	case strings.HasPrefix(text, "fails/"):
		var seq int64
		_, err := fmt.Sscanf(text, "fails/%d", &seq)
		if err == nil && !s.outcome(seq, false) {
			err = errors.New("nothing waits for this outcome")
		}
		return err
	}
	m := step.FindStringSubmatch(text)
	if m == nil {
		return errors.New("not a step")
	}
	r := s.record(m[2], m[3])
	if m[1] == "wrong" {
		r.Signature = event.SignedWrong
		r.Dedupe = dedupe.Identity(&r)
	}
	return s.act(m[1], r, m[3], m[4], m[5], m[6]+m[7])
}

// record is a request about an object.
func (s *story) record(who, what string) event.Record {
	const user, account = "5f1e2d3c4b5a69788796a5b4c3d2e1f0", "0123456789abcdef0123456789abcdef"
	r := event.Record{
		Request:    event.Request{Source: event.SourceWebhook, ReceivedAt: s.at.Wall, HookID: "hook1"},
		ObjectType: "user", ObjectID: user, AccountID: account,
		Action: map[string]event.Action{"created": event.Created, "edited": event.Edited, "deleted": event.Deleted}[what],
	}
	switch who {
	case "a", "b":
		r.ObjectType, r.ObjectID, r.AccountID = "media", "en-us/welcome", strings.Repeat(who, 32)
	case "hook2":
		r.HookID = "hook2"
	case "call":
		r.Action = ""
	}
	r.Dedupe.Key = snapshot.Key(r.ObjectType, r.AccountID, r.ObjectID)
	switch {
	case who == "call":
		r.Dedupe.Rule = event.RuleContent
	case r.Action == event.Edited:
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %s", r.HookID, r.Dedupe.Key))
		r.Dedupe = event.Dedupe{Rule: event.RuleUnacknowledged, Key: event.Key(sum[:16])}
	default:
		r.Dedupe.Rule = event.RuleLifecycle
	}
	return r
}

func (s *story) act(how string, r event.Record, what, answer, ago, want string) error {
	k := snapshot.Key(r.ObjectType, r.AccountID, r.ObjectID)
	o := s.objects[k]
	write := func() { s.objects[k] = o }
	look := snapshot.Look{Type: r.ObjectType, Account: r.AccountID, ID: r.ObjectID, AsOf: s.at.Number - 1, Found: what != "404"}
	switch what {
	case "wanted", "wanted-":
		if (o.Look != 0) != (what == "wanted") {
			return fmt.Errorf("waits for a look-up since command %d", o.Look)
		}
		return nil
	case "ask":
		s.asked = s.at.Number - 1
		return nil
	case "answer":
		look.AsOf = s.asked
		fallthrough
	case "found", "404":
		o.Looked(&look, s.at)
		write()
		return nil
	case "listed":
		page := snapshot.Page{Type: r.ObjectType, Account: r.AccountID, AsOf: s.at.Number - 1, Baseline: true}
		o.Listed(&page, &snapshot.Listed{ID: r.ObjectID}, s.at)
		write()
		return nil
	case "missing", "missing-":
		if !o.Misses(&snapshot.Missing{AsOf: s.at.Number - 1}) {
			return expect(want, "")
		}
		s.last++
		rec := o.Record(event.Deleted, s.at.Wall)
		o.Happened(&rec, s.last, s.at)
		write()
		return expect(want, fmt.Sprintf(":%d", s.last))
	}
	return s.request(how, &r, answer, ago, want)
}

// request appends a request, or a firing that was read back.
func (s *story) request(how string, r *event.Record, answer, ago, want string) error {
	k := r.Dedupe.Key
	switch {
	case how == "refused":
		for i := range s.open[k] {
			if u := &s.open[k][i]; u.Failed && u.Awaits(s.at.Clock) {
				u.At = s.at.Clock
			}
		}
		return nil
	case how == "hidden":
		r.Hidden = true
	case strings.HasPrefix(how, "p"):
		r.RequestID = how
		if want == "" {
			return errors.New("what becomes of it?")
		}
	case strings.HasPrefix(how, "f"):
		d, err := time.ParseDuration(ago)
		if err != nil {
			return err
		}
		r.Source, r.ReceivedAt = event.SourceRecovered, s.at.Wall.Add(d)
		r.Firing = event.Firing{ID: how, First: r.ReceivedAt.Add(-4 * time.Second), Last: r.ReceivedAt}
	case want == "":
		return errors.New("what becomes of it?")
	}
	d := dedupe.Decide(s, r, s.at)
	seq := d.Of
	if !d.Duplicate {
		seq = s.append(r)
	}
	if d.Look {
		o := s.objects[k]
		o.Doubted(s.at)
		s.objects[k] = o
	}
	if r.RequestID != "" && r.Dedupe.Rule == event.RuleUnacknowledged {
		s.tries[fmt.Sprint(k, r.RequestID)] = seq
	}
	if r.Firing.ID != "" {
		s.firings[r.HookID+"/"+r.Firing.ID] = seq
	}
	if d.Claims {
		i := slices.IndexFunc(s.open[k], func(u dedupe.Unanswered) bool { return u.Seq == seq })
		if r.Source == event.SourceRecovered {
			s.open[k] = slices.Delete(s.open[k], i, i+1)
		} else {
			s.open[k][i].At, s.open[k][i].Failed = s.at.Clock, false
		}
	}
	if r.Source == event.SourceWebhook && answer != "?" && (r.RequestID == "" || answer == "") { // a proxy tries again
		s.outcome(seq, answer == "" && how != "late")
	}
	switch {
	case r.Hidden && !d.Duplicate:
		return expect(want, "")
	case d.Duplicate:
		return expect(want, fmt.Sprintf("=%d", seq))
	}
	return expect(want, fmt.Sprintf(":%d", seq))
}

// append stores an event.
func (s *story) append(r *event.Record) (seq int64) {
	if !r.Hidden {
		s.last++
		seq = s.last
	}
	switch r.Dedupe.Rule {
	case event.RuleContent:
		s.content[r.Dedupe.Key] = seq
	case event.RuleUnacknowledged:
		if r.Source == event.SourceWebhook && !r.Hidden {
			s.open[r.Dedupe.Key] = append(s.open[r.Dedupe.Key], dedupe.Unanswered{Seq: seq, At: s.at.Clock})
		}
	}
	if r.Action != "" {
		k := snapshot.Key(r.ObjectType, r.AccountID, r.ObjectID)
		o := s.objects[k]
		if o.Happened(r, seq, s.at) {
			s.objects[k] = o
		}
	}
	return seq
}

// outcome notes whether the newest try of an event was answered.
func (s *story) outcome(seq int64, written bool) (found bool) {
	for k, held := range s.open {
		for i := range held {
			if held[i].Seq != seq {
				continue
			}
			if written {
				s.open[k] = slices.Delete(held, i, i+1)
			} else {
				held[i].Failed, held[i].At = true, s.at.Clock
			}
			return true
		}
	}
	return false
}

func expect(want, got string) error {
	if want != got {
		return fmt.Errorf("became %q, want %q", got, want)
	}
	return nil
}
