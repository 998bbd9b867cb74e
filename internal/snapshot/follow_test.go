package snapshot

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kazoohook/internal/event"
)

const (
	userID  = "5f1e2d3c4b5a69788796a5b4c3d2e1f0"
	account = "0123456789abcdef0123456789abcdef"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// at is a moment some seconds after the start; the seconds are its number, too.
func at(second int64) At {
	d := time.Duration(second) * time.Second
	return At{Number: second, Clock: Clock(start.Add(d).UnixNano()), Wall: start.Add(d)}
}

func happens(typ string, action event.Action, source event.Source, second int64) *event.Record {
	id := userID
	if typ == TypeAccount {
		id = account
	}
	return &event.Record{
		Request:    event.Request{Source: source, ReceivedAt: at(second).Wall},
		ObjectType: typ, ObjectID: id, AccountID: account, Action: action,
	}
}

// know makes an object after these events, which came a second apart.
func know(typ string, actions ...event.Action) (o Object) {
	for i, a := range actions {
		n := int64(i + 1)
		o.Happened(happens(typ, a, event.SourceWebhook, n), n, at(n))
	}
	return o
}

func TestEventsMakeAnObjectKnown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		typ     string
		actions []event.Action
		state   State
		look    int64
	}{
		"created":                     {"user", []event.Action{event.Created}, Alive, 1},
		"edited":                      {"user", []event.Action{event.Edited}, Alive, 1},
		"edited twice":                {"user", []event.Action{event.Edited, event.Edited}, Alive, 1},
		"deleted":                     {"user", []event.Action{event.Created, event.Deleted}, Deleted, 0},
		"edited after the deletion":   {"user", []event.Action{event.Deleted, event.Edited}, Deleted, 2},
		"created after the deletion":  {"user", []event.Action{event.Deleted, event.Created}, Deleted, 2},
		"what Crossbar doesn't list":  {"call_recording", []event.Action{event.Created}, Alive, 0},
		"a deleted account":           {TypeAccount, []event.Action{event.Deleted}, Deleted, 1},
		"an account that is restored": {TypeAccount, []event.Action{event.Deleted, event.Edited}, Deleted, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := know(test.typ, test.actions...)
			n := int64(len(test.actions))
			if o.State != test.state || o.Look != test.look || o.Touched != n || o.Type != test.typ || o.AccountID != account {
				t.Errorf("%+v", o)
			}
			if (o.Shown != 0 && o.State == Deleted) != (test.state == Deleted && n > 1 && test.actions[n-1] != event.Deleted) {
				t.Errorf("shown at %d", o.Shown)
			}
		})
	}
}

func TestWrongSignatureSaysNothing(t *testing.T) {
	t.Parallel()
	for _, o := range []Object{{}, know("user", event.Created), know("user", event.Created, event.Deleted)} {
		for _, action := range []event.Action{event.Created, event.Edited, event.Deleted} {
			was := o
			r := happens("user", action, event.SourceWebhook, 9)
			r.Signature = event.SignedWrong
			if changed := o.Happened(r, 9, at(9)); changed || !cmp.Equal(was, o) {
				t.Errorf("%s changed %+v to %+v", action, was, o)
			}
		}
	}
}

func TestWhatWasRecoveredAsksForNoName(t *testing.T) {
	t.Parallel()
	var o Object
	o.Happened(happens("user", event.Created, event.SourceRecovered, 1), 1, at(100))
	if o.State != Alive || o.Look != 0 || o.Created != at(1).Clock || !o.FirstSeen.Equal(at(1).Wall) {
		t.Errorf("%+v", o)
	}
	o.Happened(happens("user", event.Deleted, event.SourceRecovered, 50), 2, at(101))
	if o.State != Deleted || o.Look != 0 || o.Shown != 0 || o.Deleted != at(50).Clock || !o.DeletedAt.Equal(at(50).Wall) {
		t.Errorf("%+v", o)
	}
	// An edit before the deletion, as far as a possibly wrong clock says.
	o.Happened(happens("user", event.Edited, event.SourceRecovered, 49), 3, at(102))
	if o.State != Deleted || o.Look != 102 || o.Shown != 0 {
		t.Errorf("%+v", o)
	}
	// A deletion that was recovered after a later edit had arrived.
	o = know("user", event.Created)
	o.Happened(happens("user", event.Edited, event.SourceWebhook, 500), 2, at(500))
	o.Happened(happens("user", event.Deleted, event.SourceRecovered, 400), 3, at(501))
	if o.State != Deleted || o.Look != 501 || o.Shown != at(500).Clock {
		t.Errorf("%+v", o)
	}
}

func TestLooked(t *testing.T) {
	t.Parallel()
	found := func(asOf int64) *Look {
		return &Look{Type: "user", Account: account, ID: userID, AsOf: asOf, Found: true, Name: "Ann", Fields: map[string]string{"username": "ann"}}
	}
	missing := func(asOf int64) *Look { return &Look{AsOf: asOf} }
	alive, deleted, shown := know("user", event.Created), know("user", event.Deleted), know("user", event.Deleted, event.Edited)
	for name, test := range map[string]struct {
		o     Object
		l     *Look
		want  Outcome
		state State
		look  bool // still asked for
		shown bool // there is a sign of life
	}{
		"alive, found":                     {alive, found(1), Noted, Alive, false, true},
		"alive, not found":                 {alive, missing(1), Noted, Alive, false, true},
		"alive, asked before the creation": {alive, found(0), Ignored, Alive, true, true},
		"deleted, found":                   {deleted, found(1), Appeared, Alive, false, true},
		"deleted, asked before that":       {deleted, found(0), Ignored, Deleted, false, false},
		"shown, found":                     {shown, found(2), Appeared, Alive, false, true},
		"shown, not found":                 {shown, missing(2), Noted, Deleted, false, false},
		"shown, asked before that":         {shown, found(1), Ignored, Deleted, true, true},
		"unknown, found":                   {Object{}, found(1), Appeared, Alive, false, true},
		"unknown, not found":               {Object{}, missing(1), Ignored, Unknown, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := test.o
			got := o.Looked(test.l, at(10))
			if got != test.want || o.State != test.state || (o.Look != 0) != test.look || (o.Shown != 0) != test.shown {
				t.Errorf("outcome %d, want %d: %+v", got, test.want, o)
			}
			if named := o.Name == "Ann"; named != (test.l.Found && got != Ignored) {
				t.Errorf("name %q", o.Name)
			}
			if (o.Touched == 10) != (got == Appeared) {
				t.Errorf("touched by %d", o.Touched)
			}
		})
	}
}

func TestListed(t *testing.T) {
	t.Parallel()
	alive, deleted := know("user", event.Created), know("user", event.Deleted)
	for name, test := range map[string]struct {
		o        Object
		asOf     int64
		baseline bool
		want     Outcome
		state    State
		named    bool
		created  bool
	}{
		"new":                       {Object{}, 5, false, Appeared, Alive, true, true},
		"new in the first listing":  {Object{}, 5, true, Noted, Alive, true, false},
		"alive":                     {alive, 1, false, Noted, Alive, true, true},
		"created during the list":   {alive, 0, false, Noted, Alive, false, true},
		"deleted":                   {deleted, 1, false, Doubtful, Deleted, false, false},
		"deleted while it was read": {deleted, 0, false, Ignored, Deleted, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, before := test.o, test.o
			page := &Page{Type: "user", Account: account, Pass: 7, AsOf: test.asOf, Baseline: test.baseline}
			got := o.Listed(page, &Listed{ID: userID, Name: "Ann"}, at(10))
			if got != test.want || o.State != test.state || (o.Name == "Ann") != test.named || (o.Created != 0) != test.created {
				t.Errorf("outcome %d, want %d: %+v", got, test.want, o)
			}
			if diff := cmp.Diff(before, o); (got == Ignored || got == Doubtful) && diff != "" {
				t.Errorf("it changed:\n%s", diff)
			}
			if o.State == Alive && (o.Pass != 7 || o.ID != userID || o.AccountID != account) {
				t.Errorf("%+v", o)
			}
			if o.Look != 0 && test.named {
				t.Error("a look-up is asked for although the name is known")
			}
		})
	}
}

func TestListedAccountLivesInItself(t *testing.T) {
	t.Parallel()
	var o Object
	o.Listed(&Page{Type: TypeAccount}, &Listed{ID: account, Name: "acme"}, at(1))
	if o.AccountID != account {
		t.Errorf("%+v", o)
	}
}

func TestMisses(t *testing.T) {
	t.Parallel()
	alive, deleted := know("user", event.Created), know("user", event.Deleted)
	if !alive.Misses(&Missing{AsOf: 1}) || alive.Misses(&Missing{AsOf: 0}) || deleted.Misses(&Missing{AsOf: 1}) {
		t.Error("only what is alive, and untouched since the listing began, can be missing")
	}
}

func TestRecordIsRouted(t *testing.T) {
	t.Parallel()
	o := know("user", event.Created)
	o.Name, o.Fields = "Ann Lee", map[string]string{"username": "ann", "email": "ann@x"}
	r := o.Record(event.Deleted, start)
	if r.Event != "user.deleted" || r.Source != event.SourceResync || r.ObjectID != userID || r.AccountID != account || r.Dedupe.Key != o.Key() {
		t.Errorf("%+v", r)
	}
	var body map[string]string
	if err := json.Unmarshal(r.Body, &body); err != nil || body["object_name"] != "Ann Lee" || body["email"] != "ann@x" {
		t.Errorf("body %s, %v", r.Body, err)
	}
}

func TestPastIsNeverAhead(t *testing.T) {
	t.Parallel()
	now := at(100)
	if now.Past(at(40).Wall) != at(40).Clock || now.Past(at(200).Wall) != now.Clock {
		t.Error("a time in the future does not count as now")
	}
	if live := happens("user", event.Edited, event.SourceWebhook, 40); now.Of(live) != now.Clock {
		t.Error("arrival is not the time of a request")
	}
}

func TestUnique(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		userID: true, "en-us/vm-enter_pass": false, userID[1:]: false, "5F1E2D3C4B5A69788796A5B4C3D2E1F0": false,
		"g" + userID[1:]: false, userID + "0": false, "": false,
	} {
		if Unique(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]string{
		"user": "users", "device": "devices", "callflow": "callflows", "vmbox": "vmboxes", "faxbox": "faxboxes", "media": "media",
		TypeAccount: "accounts", "call_recording": "",
	} {
		if got := Kind(typ); got != want {
			t.Errorf("%s: %q, want %q", typ, got, want)
		}
	}
	for _, typ := range Types() {
		if Kind(typ) == "" {
			t.Errorf("%s has no listing", typ)
		}
	}
}
