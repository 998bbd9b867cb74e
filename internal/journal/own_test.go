package journal

import (
	"testing"
	"time"

	"kazoohook/internal/event"
)

// TestOwnEvents: the receiver's own events are events like any other. The same
// Happening again is a duplicate, also after a restart.
func TestOwnEvents(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := newClock()
	j := openTest(t, Options{Dir: dir, Now: c.now})
	own := func(o event.Own) event.Appended {
		t.Helper()
		a, err := j.Own(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	mustAppend(t, j, sample(1, event.Deleted))
	outage := event.Own{Payload: &event.Outage{Reasons: []string{"off"}}, Account: "a1", Happening: "first"}
	letter := event.Own{Payload: &event.DeadLetter{Destination: new("billing")}, Account: "a1", Object: "0123456789abcdef0123456789abcdef", Happening: "first"}
	first, second := own(outage), own(letter)
	if first.Seq != 2 || second.Seq != 3 || first.Duplicate || second.Duplicate || first.ID == "" {
		t.Fatalf("%+v, %+v", first, second)
	}
	r := get(t, j, 2)
	if r.Event != "kazoohook.outage" || r.Source != event.SourceReceiver || r.AccountID != "a1" || !r.ReceivedAt.Equal(c.now()) || r.ID != first.ID {
		t.Errorf("%+v", r)
	}
	c.add(time.Hour)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openTest(t, Options{Dir: dir, Now: c.now})
	for name, o := range map[string]event.Own{"outage": outage, "dead letter": letter} {
		if a := own(o); !a.Duplicate || a.Seq == 0 {
			t.Errorf("the same %s again: %+v", name, a)
		}
	}
	outage.Happening = ""
	if a, b := own(outage), own(outage); a.Duplicate || b.Duplicate || b.Seq != 5 {
		t.Errorf("without a happening: %+v, %+v", a, b)
	}
	for name, q := range map[string]event.Query{
		"all":       {Events: []string{"*"}, Text: "billing"},
		"by name":   {Events: []string{"kazoohook.dead_*"}},
		"by source": {Sources: []event.Source{event.SourceReceiver}, Objects: []string{letter.Object}},
		"by object": {Objects: []string{letter.Object}},
	} {
		if recs, _, err := j.Query(t.Context(), q); err != nil || len(recs) != 1 || recs[0].Seq != 3 {
			t.Errorf("%s: %+v, %v", name, recs, err)
		}
	}
}

// TestOwnEventsTouchNoObject: a dead letter about a user doesn't change what is known
// of the user, and no request is its duplicate.
func TestOwnEventsTouchNoObject(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{})
	created := sample(1, event.Created)
	mustAppend(t, j, created)
	before, known, err := j.Object(t.Context(), created.ObjectType, created.AccountID, created.ObjectID)
	if err != nil || !known {
		t.Fatal(known, err)
	}
	o := event.Own{Payload: &event.DeadLetter{}, Account: created.AccountID, Object: created.ObjectID}
	if _, err := j.Own(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	after, _, err := j.Object(t.Context(), created.ObjectType, created.AccountID, created.ObjectID)
	if err != nil || after.Touched != before.Touched || after.State != before.State {
		t.Errorf("%+v became %+v, %v", before, after, err)
	}
	forged := o.Record()
	forged.Request.Source, forged.Hook, forged.HookID = event.SourceWebhook, "kazoohook", "h1"
	if a := mustAppend(t, j, event.Route(forged.Request)); a.Duplicate {
		t.Errorf("a request is a duplicate of an event of our own: %+v", a)
	}
	if deleted := sample(1, event.Deleted); mustAppend(t, j, deleted).Duplicate {
		t.Error("a deletion after a dead letter about its object is a duplicate")
	}
}
