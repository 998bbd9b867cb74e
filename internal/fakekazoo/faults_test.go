package fakekazoo

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAPIFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault  Fault
		status int    // 0: no answer
		body   string // part of it
	}{
		"down":      {Fault{Kind: FaultDown}, 0, ""},
		"lose":      {Fault{Kind: FaultLose}, 0, ""},
		"truncate":  {Fault{Kind: FaultTruncate}, 0, ""},
		"garbage":   {Fault{Kind: FaultGarbage}, 200, "<html>"},
		"503":       {Fault{Kind: FaultStatus}, 503, `"message":"datastore_unreachable"`},
		"500":       {Fault{Kind: FaultStatus, Status: 500}, 500, `"message":"datastore_fault"`},
		"502":       {Fault{Kind: FaultStatus, Status: 502}, 502, `"message":"unspecified_fault"`},
		"401":       {Fault{Kind: FaultStatus, Status: 401}, 401, `"message":"invalid_credentials"`},
		"409":       {Fault{Kind: FaultStatus, Status: 409}, 409, `"message":"datastore_conflict"`},
		"429":       {Fault{Kind: FaultStatus, Status: 429}, 429, `"message":"too_many_requests"`},
		"slow":      {Fault{Kind: FaultSlow, Delay: 30 * time.Millisecond}, 201, `"status":"success"`},
		"other op":  {Fault{Kind: FaultDown, Op: "users.*"}, 201, `"status":"success"`},
		"unlikely":  {Fault{Kind: FaultDown, Probability: 1e-12}, 201, `"status":"success"`},
		"this op":   {Fault{Kind: FaultDown, Op: "webhooks.create"}, 0, ""},
		"and these": {Fault{Kind: FaultDown, Op: "webhooks.*", Probability: 1}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKazoo(t, Options{})
			c := logIn(t, k)
			if _, err := k.Inject(tc.fault); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			res, raw, err := c.raw("PUT", "/v2/accounts/"+DefaultAccountID+"/webhooks", apiHook())
			switch {
			case tc.status == 0 && err == nil:
				t.Errorf("answered %d %s", res.StatusCode, raw)
			case tc.status != 0 && (err != nil || res.StatusCode != tc.status):
				t.Errorf("%v %v", res, err)
			}
			if time.Since(start) < tc.fault.Delay {
				t.Error("too fast")
			}
			contains(t, string(raw), tc.body)
			// Whether the hook was created in spite of the fault.
			done := tc.status == 201 || tc.fault.Kind == FaultLose || tc.fault.Kind == FaultTruncate
			if got := len(k.Hooks()) == 1; got != done {
				t.Errorf("done %v, want %v", got, done)
			}
		})
	}
}

func TestSlowAnswerEndsWithTheFake(t *testing.T) {
	t.Parallel()
	k := New(Options{BucketsOff: true})
	c := newClient(t, k)
	if _, err := k.Inject(Fault{Kind: FaultSlow, Delay: time.Hour}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, _, err := c.raw("GET", "/v2/webhooks", nil)
		done <- err
	}()
	eventually(t, "the fault strikes", func() bool { return k.Faults()[0].Struck == 1 })
	k.Close()
	if err := <-done; err == nil {
		t.Error("an answer from a closed fake")
	}
}

func TestListingFaults(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	c := logIn(t, k)
	if _, err := k.SeedUsers("", 200); err != nil {
		t.Fatal(err)
	}
	inject := func(f Fault) {
		k.ClearFaults()
		if _, err := k.Inject(f); err != nil {
			t.Fatal(err)
		}
	}
	inject(Fault{Kind: FaultOmit, Count: 1})
	if n := len(rowsOf(c.ask(200, "GET", "/users?paginate=false", nil))); n < 50 || n > 150 {
		t.Errorf("half of 200 is %d", n)
	}
	inject(Fault{Kind: FaultRepeat})
	if _, stuck := walk(c, "/users"); !stuck {
		t.Error("next_start_key advances")
	}
	inject(Fault{Kind: FaultCutList, Count: 1})
	if ids, _ := walk(c, "/users"); len(ids) != 50 {
		t.Errorf("cut after %d", len(ids))
	}
	if ids, _ := walk(c, "/users?page_size=150"); len(ids) < 200 {
		t.Errorf("%d users when the fault is over", len(ids))
	}
}

func TestDeliveryFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault           Fault
		outcome         Outcome
		arrived, stored int
		tries           int
	}{
		"refused once":   {Fault{Kind: FaultRefuse, Count: 1}, OutcomeDelivered, 1, 1, 2},
		"refused":        {Fault{Kind: FaultRefuse}, OutcomeExhausted, 0, 3, 3},
		"answer lost":    {Fault{Kind: FaultLoseAnswer, Count: 1}, OutcomeDelivered, 2, 1, 2},
		"answers lost":   {Fault{Kind: FaultLoseAnswer}, OutcomeExhausted, 3, 3, 3},
		"slow":           {Fault{Kind: FaultSlowDelivery, Delay: 20 * time.Millisecond}, OutcomeDelivered, 1, 0, 1},
		"app down":       {Fault{Kind: FaultAppDown}, OutcomeDropped, 0, 0, 0},
		"of other hooks": {Fault{Kind: FaultRefuse, Op: "channel_*"}, OutcomeDelivered, 1, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, answer(http.StatusOK))
			fired := make(chan Firing, 10)
			k := newKazoo(t, Options{Speed: 1000, OnFiring: func(f Firing) { fired <- f }})
			id := mustHook(t, k, objectHook(r.URL))
			if _, err := k.Inject(tc.fault); err != nil {
				t.Fatal(err)
			}
			u := deleteUser(t, k, "")
			idle(t, k)
			f := <-fired
			if f.Outcome != tc.outcome || f.Tries != tc.tries || f.ObjectID != u.ID || f.Event != "user.doc_deleted" {
				t.Errorf("%+v", f)
			}
			if len(r.got) != tc.arrived || k.AttemptCount(id) != tc.stored {
				t.Errorf("%d arrived, want %d; %d on record, want %d", len(r.got), tc.arrived, k.AttemptCount(id), tc.stored)
			}
		})
	}
}

func TestFaultsInJSON(t *testing.T) {
	t.Parallel()
	want := Fault{ID: "x", Kind: FaultSlow, Op: "users.*", Probability: 0.5, Count: 3, Delay: 1500 * time.Millisecond}
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(raw), `"delay":"1.5s"`)
	var got Fault
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{`{"kind":"slow","delay":"fast"}`, `{"kind":"slow","likelihood":1}`} {
		if json.Unmarshal([]byte(bad), &got) == nil {
			t.Error("accepted", bad)
		}
	}
	k := newKazoo(t, Options{})
	for _, bad := range []Fault{{Kind: "storm"}, {Kind: FaultDown, Op: "["}} {
		if _, err := k.Inject(bad); err == nil || !strings.Contains(err.Error(), "fault") {
			t.Error(bad, err)
		}
	}
}
