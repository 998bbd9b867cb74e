package trial

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestVerdictOnDeliveries has a case for each rule, and one for each exception.
func TestVerdictOnDeliveries(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }
	event := func(seq int64, object string) Event {
		return Event{Event: "user.edited", ID: string(rune('a' + seq)), Seq: seq, ObjectID: object}
	}
	bad := event(4, "b0")
	one, two, other := event(1, "x"), event(2, "x"), event(3, "y")
	came := func(second int, e Event, ok bool) arrival { return arrival{event: e, at: at(second), ok: ok} }
	for name, tt := range map[string]struct {
		d    delivered
		want string // within the only violation; "": none
	}{
		"all well":             {delivered{arrivals: []arrival{came(1, one, false), came(2, one, true), came(3, other, true), came(4, two, true)}}, ""},
		"one is missing":       {delivered{arrivals: []arrival{came(1, one, true), came(2, two, true)}}, "event 3 "},
		"refused only":         {delivered{arrivals: []arrival{came(1, one, true), came(2, two, true), came(3, other, false)}}, "event 3 "},
		"a dead letter":        {delivered{poison: true, dead: map[string]bool{other.ID: true}, arrivals: []arrival{came(1, one, true), came(2, two, true)}}, ""},
		"refused and waiting":  {delivered{waits: 1, poison: true, journal: []Event{one, bad}, arrivals: []arrival{came(1, one, true), came(2, bad, false)}}, ""},
		"refused and lost":     {delivered{poison: true, journal: []Event{one, bad}, arrivals: []arrival{came(1, one, true), came(2, bad, false)}}, "event 4 "},
		"waits for no reason":  {delivered{waits: 1, poison: true, journal: []Event{one, two}, arrivals: []arrival{came(1, one, true)}}, "event 2 "},
		"dead without a cause": {delivered{dead: map[string]bool{other.ID: true}, arrivals: []arrival{came(1, one, true), came(2, two, true)}}, "is a dead letter"},
		"wrong order":          {delivered{arrivals: []arrival{came(1, two, true), came(2, one, true), came(3, other, true)}}, "arrived after event 2"},
		"other keys may":       {delivered{arrivals: []arrival{came(1, other, true), came(2, one, true), came(3, two, true)}}, ""},
		"but not in order all": {delivered{order: "all", arrivals: []arrival{came(1, other, true), came(2, one, true), came(3, two, true)}}, "arrived after event 3"},
		"no order":             {delivered{order: "none", arrivals: []arrival{came(1, two, true), came(2, one, true), came(3, other, true)}}, ""},
		"again":                {delivered{arrivals: []arrival{came(1, one, true), came(2, two, true), came(3, other, true), came(30, one, true)}}, "was recorded"},
		"again, at once":       {delivered{arrivals: []arrival{came(1, one, true), came(1, one, true), came(2, two, true), came(3, other, true)}}, "was recorded"},
		"answered too late":    {delivered{arrivals: []arrival{{event: one, at: at(1), ok: true, late: true}, came(3, one, true), came(4, two, true), came(5, other, true)}}, ""},
		"again after a kill":   {delivered{deaths: []time.Time{at(2)}, arrivals: []arrival{came(1, one, true), came(3, one, true), came(4, two, true), came(5, other, true)}}, ""},
		"long after a kill":    {delivered{deaths: []time.Time{at(20)}, arrivals: []arrival{came(1, one, true), came(4, two, true), came(5, other, true), came(30, one, true)}}, "was recorded"},
		"on a full disk":       {delivered{troubles: []span{{at(0), at(2)}}, arrivals: []arrival{came(1, one, true), came(4, two, true), came(5, other, true), came(30, one, true)}}, ""},
		"from a restored copy": {delivered{restored: []restoration{{copied: at(0), at: at(20)}}, arrivals: []arrival{came(1, one, true), came(4, two, true), came(5, other, true), came(30, one, true)}}, ""},
	} {
		if tt.d.journal == nil {
			tt.d.journal = []Event{one, two, other, {Event: "kazoohook.dead_letter", ID: "own", Seq: 4}, {Event: "user.edited", ID: "forged", Seq: 5, Verified: new(bool)}}
		}
		found, figures := tt.d.verdict()
		switch {
		case tt.want == "" && len(found) > 0:
			t.Errorf("%s: %q", name, found)
		case tt.want != "" && (len(found) != 1 || !strings.Contains(found[0], tt.want)):
			t.Errorf("%s: %q, want one with %q", name, found, tt.want)
		case figures.Attempts != len(tt.d.arrivals):
			t.Errorf("%s: %+v", name, figures)
		}
	}
}

// TestLacks proves that events that a paused destination still has to get are
// distinguished from those that it refuses, by the present journal.
func TestLacks(t *testing.T) {
	t.Parallel()
	event := func(name, id, object string) Event { return Event{Event: name, ID: id, ObjectID: object} }
	came, refused, missing, bad := event("user.edited", "a", "u9"), event("user.edited", "b", "u8"), event("user.edited", "c", "u7"), event("user.edited", "d", "u0")
	forgotten := event("user.edited", "z", "u0") // from a replaced journal
	d := &destination{poison: true, arrivals: []arrival{{event: came}, {event: came, ok: true}, {event: refused}, {event: bad}, {event: forgotten}}}
	for name, test := range map[string]struct {
		journal []Event
		dead    map[string]bool
		want    int
	}{
		"came after a refusal":  {journal: []Event{came}},
		"was refused for now":   {journal: []Event{came, refused}, want: 1},
		"did not come":          {journal: []Event{came, refused, missing}, want: 2},
		"is refused always":     {journal: []Event{came, bad}},
		"is a dead letter":      {journal: []Event{came, refused, missing}, dead: map[string]bool{"b": true}, want: 1},
		"is for nobody":         {journal: []Event{event("kazoohook.dead_letter", "e", "")}},
		"of a replaced journal": {journal: []Event{missing}, want: 1},
	} {
		if got := d.lacks(test.journal, test.dead); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// TestDestinations sends events to the servers while they fail in each way.
func TestDestinations(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w, err := newOnwards(ctx, Options{}.withDefaults(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	d := w.list[2]
	send := func(object string) int {
		t.Helper()
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		body := strings.NewReader(`{"event":"user.edited","event_id":"e","seq":1,"object_id":"` + object + `"}`)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.addr+"/", body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			return 0
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for _, step := range []struct {
		mode   mode
		object string
		want   int
	}{
		{takes, "u9", http.StatusOK},
		{takes, "u1", http.StatusBadRequest}, // it is poisonous
		{slow, "u9", http.StatusOK},
		{vanished, "u9", 0},
		{takes, "u9", http.StatusOK},
	} {
		if err := d.set(ctx, step.mode); err != nil {
			t.Fatal(err)
		}
		if got := send(step.object); got != step.want {
			t.Errorf("%s: %s answered %d, want %d", step.mode, step.object, got, step.want)
		}
	}
	if seen, _, err := d.seen(ctx); err != nil || len(seen) != 4 || !seen[0].ok || seen[1].ok {
		t.Errorf("%+v, %v", seen, err)
	}
	rec := httptest.NewRecorder()
	d.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader("nothing")))
	if rec.Code != http.StatusBadRequest {
		t.Errorf("no event: %d", rec.Code)
	}
}
