package event

import (
	"strings"
	"testing"
	"time"

	"kazoohook/internal/event/eventtest"
)

// TestOwnEventsAreLikeAnyOther: the event of each payload is decoded into the same
// payload again, has no ordering key, and fits the schema.
func TestOwnEventsAreLikeAnyOther(t *testing.T) {
	t.Parallel()
	number := Integer(7)
	for name, o := range map[string]Own{
		"kazoohook.hook_disabled":       {Payload: &HookSwitchedOff{HookID: new("h1"), LastFailure: new("refused")}, Account: "a1"},
		"kazoohook.confirmation_needed": {Payload: &ConfirmationNeeded{ObjectType: new("user"), Missing: &number}, Account: "a1"},
		"kazoohook.dead_letter":         {Payload: &DeadLetter{OfSeq: &number}, Account: "a1", Object: "u1"},
		"kazoohook.outage":              {Payload: &Outage{Hooks: []string{"one"}, Reasons: []string{"b", "a"}}, Account: "a1"},
	} {
		r := o.Record()
		r.ID, r.Seq, r.ReceivedAt = "01JEXAMPLE0000000000000000", 7, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		if r.Event != name || r.AccountID != "a1" || r.ObjectID != o.Object || r.Source != SourceReceiver || r.OrderingKey() != "" || !IsOwn(r.Event) {
			t.Errorf("%s: %+v, key %q", name, r, r.OrderingKey())
		}
		e := Decode(r)
		line := string(e.AppendJSON(nil))
		eventtest.Validate(t, []byte(line))
		if len(e.Problems) > 0 || e.Payload == nil || ownName(e.Payload) != name || strings.Contains(line, "null") || e.Message() == "" {
			t.Errorf("%s: %T %q: %s", name, e.Payload, e.Problems, line)
		}
		if strings.Count(line, name) != 1 || strings.Count(line, `"a1"`) != 1 {
			t.Errorf("%s has its name or account twice: %s", name, line)
		}
		if again := Route(r.Request); again.Event != name || again.AccountID != "a1" || again.ObjectID != o.Object {
			t.Errorf("%s is read as %+v", name, again)
		}
	}
}

// TestHappeningIsTheIdentity: own events of one name and happening are duplicates.
func TestHappeningIsTheIdentity(t *testing.T) {
	t.Parallel()
	outage := func(happening string) Dedupe { return Own{Payload: &Outage{}, Happening: happening}.Record().Dedupe }
	first := outage("one")
	if first != outage("one") || first == outage("two") || first.Rule != RuleContent {
		t.Error("outages are recognised by something else")
	}
	if other := (Own{Payload: &DeadLetter{}, Happening: "one"}).Record().Dedupe; other == first {
		t.Error("two events of different names have one identity")
	}
	if outage("").Rule != RuleUnacknowledged {
		t.Error("an event without a happening has duplicates")
	}
}

// TestNothingFromOutsideIsOurOwn: no request can make an event whose name begins
// with "kazoohook".
func TestNothingFromOutsideIsOurOwn(t *testing.T) {
	t.Parallel()
	own := string(Own{Payload: &Outage{}}.Record().Body)
	for _, source := range []Source{SourceWebhook, SourceRecovered, SourceResync} {
		for name, d := range map[string]Request{
			"path":                {Hook: "kazoohook", HookID: "h1", ContentType: "application/json", Body: []byte(own)},
			"dotted path":         {Hook: "kazoohook.outage", HookID: "h1", ContentType: "application/json", Body: []byte(own)},
			"hook_event":          form("other", "hook_event=kazoohook.outage&a=1"),
			"hook_event, family":  form("other", "hook_event=kazoohook&a=1"),
			"event_name":          form("kazoohook", "event_name=kazoohook.outage&a=1"),
			"object type":         form("object", "action=doc_deleted&type=kazoohook&id=1"),
			"dotted object type":  form("object", "action=doc_deleted&type=kazoohook.outage&id=1"),
			"object, upper case":  form("object", "action=doc_deleted&type=KAZOOHOOK&id=1"),
			"envelope":            jsonBody("kazoohook", `{"action":"event","name":"kazoohook.outage","data":{"event":"kazoohook.outage","id":"1"}}`),
			"envelope of object":  jsonBody("object", `{"action":"event","name":"doc_deleted","data":{"id":"1","type":"kazoohook"}}`),
			"a body of ours":      jsonBody("object", own),
			"a body without hook": {ContentType: "application/json", Body: []byte(own)},
		} {
			d.Source = source
			if d.HookID == "" && strings.Contains(name, "hook") {
				d.HookID = "h1"
			}
			if r := Route(d); strings.HasPrefix(r.Event, "kazoohook") {
				t.Errorf("%s from %s is %s", name, source, r.Event)
			}
		}
	}
	for _, body := range []string{"", "{}", `{"event":"user.deleted"}`, `{"event":"kazoohook.` + strings.Repeat("x", 80) + `"}`, `{"event":"kazoohook.A"}`} {
		if r := Route(Request{Source: SourceReceiver, Body: []byte(body)}); r.Event != Unknown || r.Problem == "" {
			t.Errorf("%q is %s", body, r.Event)
		}
	}
}
