package fakekazoo

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func fieldNames(o *jobj) (names []string) {
	for _, f := range o.fields {
		names = append(names, f.key)
	}
	return names
}

// An attempt has the fields of Kazoo's attempts, in the same order and form.
func TestAttemptShape(t *testing.T) {
	t.Parallel()
	type stored struct {
		Name string `json:"name"`
		Item *jobj  `json:"api_item"`
	}
	for _, v := range readLines[stored](t, "testdata/attempts.jsonl") {
		opt, fields := Options{Speed: 1000}, map[string]any{}
		switch v.Name {
		case "attempt_k43_object_user_doc_deleted":
		case "attempt_k43_object_user_doc_deleted_post_json":
			fields["format"] = "json"
		case "attempt_k5_object_user_doc_deleted":
			opt.Version = "5"
			fields["custom_data"] = map[string]any{}
		default:
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = w.Write([]byte("OK"))
			})
			k := newKazoo(t, opt)
			c := logIn(t, k)
			hook := objectHook(r.URL+"/hook", "retries", 2)
			for key, val := range fields {
				hook[key] = val
			}
			id := mustHook(t, k, hook)
			deleteUser(t, k, "")
			idle(t, k)
			got, _ := rowsOf(c.ask(200, "GET", "/webhooks/"+id+"/attempts", nil))[0].(*jobj)
			if diff := cmp.Diff(fieldNames(v.Item), fieldNames(got)); diff != "" {
				t.Error(diff)
			}
			for _, f := range []string{"resp_status_code", "resp_body", "try", "retries_left", "result", "reason", "hook_event", "method"} {
				if diff := cmp.Diff(text(v.Item.get(f)), text(got.get(f))); diff != "" {
					t.Errorf("%s: %s", f, diff)
				}
			}
			if diff := cmp.Diff(fieldNames(v.Item.obj("req_headers")), fieldNames(got.obj("req_headers"))); diff != "" {
				t.Error(diff)
			}
			// The stored body, flattened, is the body that was sent.
			if sent := <-r.got; string(flatten(nil, got.get("req_body"))) != sent.body {
				t.Errorf("stored %s, sent %s", text(got.get("req_body")), sent.body)
			}
			want, _ := v.Item.get("req_body").([]any)
			have, _ := got.get("req_body").([]any)
			if len(want) != len(have) {
				t.Errorf("req_body has %d parts, want %d", len(have), len(want))
			}
		})
	}
}

// In these attempts `retries` counts down, and retries_left isn't the number that
// answered attempts have.
func TestAttemptsOfTransportErrors(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, hangUp, hangUp, answer(http.StatusTeapot))
	k := newKazoo(t, Options{Speed: 1000})
	c := logIn(t, k)
	id := mustHook(t, k, objectHook(r.URL, "retries", 3, "hook", "object"))
	lost, err := k.Inject(Fault{Kind: FaultRefuse, ClientError: "failed_connect: nxdomain", Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	deleteUser(t, k, "")
	idle(t, k)
	if k.ClearFault(lost) {
		t.Error("a fault still exists after its last use")
	}
	var got []string
	events := map[string]bool{}
	for _, row := range rowsOf(c.ask(200, "GET", "/webhooks/attempts", nil)) {
		a, _ := row.(*jobj)
		if a.str("hook_id") != id {
			t.Error("an attempt of another hook")
		}
		events[a.str("event_id")] = true
		got = append(got, fmt.Sprint(a.get("client_error"), " ", a.get("retries"), " ", a.get("retries_left"), " ", a.get("try")))
	}
	want := []string{ // newest first
		"socket_closed_remotely 1 retries exceeded <nil>",
		"socket_closed_remotely 2 2 <nil>",
		"failed_connect: nxdomain 3 3 <nil>",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(events) != 1 {
		t.Errorf("one firing has %d event ids", len(events))
	}
	deleteUser(t, k, "")
	idle(t, k)
	a, _ := rowsOf(c.ask(200, "GET", "/webhooks/attempts", nil))[0].(*jobj)
	if s := fmt.Sprint(a.get("resp_status_code"), a.get("try"), a.get("retries_left")); s != "41832" {
		t.Error(text(a))
	}
}

func TestAttemptRanges(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{Speed: 1000, AttemptsTTL: 60 * 24 * time.Hour})
	c := logIn(t, k)
	r := newReceiver(t, answer(http.StatusNotFound))
	id := mustHook(t, k, objectHook(r.URL, "http_verb", "get"))
	day := 24 * time.Hour
	for _, ago := range []time.Duration{100 * day, 40 * day, 10 * day} {
		k.MoveClock(-ago)
		deleteUser(t, k, "")
		idle(t, k)
	}
	k.MoveClock(0)
	now := k.clock.seconds()
	count := func(query string) int { return len(rowsOf(c.ask(200, "GET", "/webhooks/"+id+"/attempts"+query, nil))) }
	if n := count(""); n != 1 {
		t.Errorf("last 31 days: %d", n)
	}
	if n := count(fmt.Sprintf("?created_from=%d&created_to=%d", now-45*86400, now-20*86400)); n != 1 {
		t.Errorf("the month before: %d", n)
	}
	if n := k.AttemptCount(id); n != 2 { // the oldest expired
		t.Errorf("%d attempts", n)
	}
	deleteUser(t, k, "")
	idle(t, k)
	for _, q := range []string{
		fmt.Sprintf("?created_from=%d&created_to=%d", now-31*86400-1, now),
		fmt.Sprintf("?created_from=%d&created_to=%d", now, now-1),
		"?created_from=yesterday",
	} {
		body := c.ask(400, "GET", "/webhooks/attempts"+q, nil)
		contains(t, text(body), `"data":{"created_from":{`)
	}
	if got := text(rowsOf(c.ask(200, "GET", "/webhooks/attempts", nil))[0].(*jobj).get("req_body")); got != `""` {
		t.Errorf("a GET's body is recorded as %s", got)
	}
}

// The key of an attempt is a second. With more failures in one second than a page
// holds, next_start_key stays the same.
func TestAttemptPagesGetStuck(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	k := newKazoo(t, Options{Speed: 1000, Now: func() time.Time { return at }, TokenTTL: time.Hour})
	c := logIn(t, k)
	r := newReceiver(t, answer(http.StatusNotFound))
	mustHook(t, k, objectHook(r.URL))
	users, err := k.SeedUsers("", 60)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range users {
		if err := k.DeleteUser(u.ID); err != nil {
			t.Fatal(err)
		}
	}
	idle(t, k)
	body := c.ask(200, "GET", "/webhooks/attempts", nil)
	next := body.str("next_start_key")
	again := c.ask(200, "GET", "/webhooks/attempts?start_key="+next, nil)
	if next == "" || again.str("next_start_key") != next || len(rowsOf(again)) != 50 {
		t.Error("the listing went past a page of equal keys")
	}
	if n := len(rowsOf(c.ask(200, "GET", "/webhooks/attempts?page_size=100", nil))); n != 60 {
		t.Errorf("a larger page has %d", n)
	}
}

func TestStoreSuccess(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, answer(http.StatusOK))
	k := newKazoo(t, Options{StoreSuccess: true, Speed: 1000})
	c := logIn(t, k)
	mustHook(t, k, map[string]any{"hook": "channel_create", "uri": r.URL, "http_verb": "post", "format": "form-data"})
	if _, err := k.PlaceCall(Call{}); err != nil {
		t.Fatal(err)
	}
	idle(t, k)
	a, _ := rowsOf(c.ask(200, "GET", "/webhooks/attempts", nil))[0].(*jobj)
	if a.str("result") != "success" || a.has("retries_left") || a.str("hook_event") != "CHANNEL_CREATE" {
		t.Error(text(a))
	}
}
