package fakekazoo

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Attempts have the time of their node's clock, and the listing is sorted by it.
func TestNodeClocks(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, answer(http.StatusOK))
	k := newKazoo(t, Options{Speed: 1000, StoreSuccess: true, Nodes: []Node{{"a", 0}, {"b", -time.Hour}, {"c", 50 * time.Minute}}})
	c := logIn(t, k)
	mustHook(t, k, objectHook(r.URL))
	for range 30 {
		deleteUser(t, k, "")
		idle(t, k)
	}
	now := k.clock.seconds()
	body := c.ask(200, "GET", "/webhooks/attempts?created_to="+text(int(now+7200)), nil)
	var at []int64
	for _, row := range rowsOf(body) {
		n, _ := row.(*jobj).get("timestamp").(json.Number)
		i, _ := n.Int64()
		at = append(at, i)
	}
	if len(at) != 30 || at[0] < now+2000 || at[29] > now-3000 {
		t.Fatal(at, now)
	}
	slices.Reverse(at)
	if !slices.IsSorted(at) {
		t.Error(at)
	}
	nodes := map[string]bool{}
	for _, f := range k.Truth().Firings {
		nodes[f.Node] = true
	}
	if len(nodes) != 3 {
		t.Error(nodes)
	}
}

func TestIntegerIolists(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, answer(http.StatusNotFound))
	k := newKazoo(t, Options{Speed: 1000, IntegerIolists: true})
	c := logIn(t, k)
	mustHook(t, k, objectHook(r.URL))
	deleteUser(t, k, "")
	idle(t, k)
	row, _ := rowsOf(c.ask(200, "GET", "/webhooks/attempts", nil))[0].(*jobj)
	stored := row.get("req_body")
	contains(t, text(stored), `["id",61,"`, `],38,[`)
	if sent := <-r.got; string(flatten(nil, stored)) != sent.body {
		t.Errorf("stored %s, sent %s", text(stored), sent.body)
	}
}

// An integer of any size that the control handler gets is sent as an integer.
func TestIntegersStayIntegers(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, answer(http.StatusOK))
	k := newKazoo(t, Options{Version: "5"})
	do := control(t, k)
	mustHook(t, k, map[string]any{"hook": "notifications", "uri": r.URL, "custom_data": map[string]any{"type": "all"}})
	do(200, "POST", "/notifications", `{"name":"low_balance","fields":{"current_balance":340000,"big":12345678901234567890,"half":0.5,"list":[1,{"n":2}]}}`)
	idle(t, k)
	contains(t, (<-r.got).body, "current_balance=340000&", "big=12345678901234567890&", "half=0.5&", "list[]=1&list[]=%7B%22n%22%3A2%7D")
}

// Hooks get internal legs unless include_internal_legs is false.
func TestInternalLegs(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, answer(http.StatusOK))
	k := newKazoo(t, Options{Version: "5"})
	mustHook(t, k, map[string]any{"hook": "channel_create", "uri": r.URL + "/all"})
	mustHook(t, k, map[string]any{"hook": "channel_create", "uri": r.URL + "/outer", "include_internal_legs": false})
	for _, internal := range []bool{true, false} {
		if _, err := k.PlaceCall(Call{Internal: internal}); err != nil {
			t.Fatal(err)
		}
	}
	idle(t, k)
	close(r.got)
	got := map[string]int{}
	for d := range r.got {
		got[d.target]++
	}
	if diff := cmp.Diff(map[string]int{"/all": 2, "/outer": 1}, got); diff != "" {
		t.Error(diff)
	}
}

// 4.3 sends no form with a list of objects; 5 sends each object as JSON text. Hooks
// with JSON get such lists on both.
func TestListsOfObjects(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]Outcome{"4.3": OutcomeCrashed, "5": OutcomeDelivered} {
		for _, what := range []string{"bill_reminder", "service_added", "topup", "transaction"} {
			t.Run(version+" "+what, func(t *testing.T) {
				t.Parallel()
				form, js := newReceiver(t, answer(http.StatusOK)), newReceiver(t, answer(http.StatusOK))
				k := newKazoo(t, Options{Version: version})
				do := control(t, k)
				custom := map[string]any{"type": what}
				id := mustHook(t, k, map[string]any{"hook": "notifications", "uri": form.URL, "custom_data": custom})
				mustHook(t, k, map[string]any{"hook": "notifications", "uri": js.URL, "format": "json", "custom_data": custom})
				do(200, "POST", "/events/"+what, "")
				idle(t, k)
				if f := k.Truth().Firings; len(f) != 2 || f[0].Outcome != want || f[1].Outcome != OutcomeDelivered {
					t.Fatalf("%+v", f)
				}
				contains(t, (<-js.got).body, what, "[")
				if version == "5" {
					contains(t, (<-form.got).body, "[]=%7B%22")
				} else if k.AttemptCount(id) != 0 {
					t.Error("a crash must leave no attempt")
				}
			})
		}
	}
}

// Media prompts have the same id in every account. Each account's prompt is a separate
// object, in events, in listings and when it is read or deleted.
func TestMediaPrompts(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, answer(http.StatusOK))
	k := newKazoo(t, Options{Speed: 1000})
	c := logIn(t, k)
	mustHook(t, k, objectHook(r.URL, "include_subaccounts", true, "custom_data", map[string]any{"type": "media", "action": "doc_deleted"}))
	const id = "en-us/vm-enter_pass"
	for _, account := range []string{"acme", "acme-north"} {
		if _, err := k.CreateObject("media", account, map[string]any{"id": id, "name": id}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.CreateObject("media", "acme", map[string]any{"id": id}); err == nil {
		t.Error("created twice")
	}
	const escaped = "/media/en-us%2Fvm-enter_pass"
	if got := c.ask(200, "GET", escaped, nil).obj("data").str("id"); got != id {
		t.Error(got)
	}
	control(t, k)(200, "DELETE", "/objects/"+DefaultAccountID+"%2Fen-us%2Fvm-enter_pass", "")
	c.ask(404, "GET", escaped, nil)
	if status, _ := c.do("GET", "/v2/accounts/5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab50"+escaped, nil); status != 200 {
		t.Error(status)
	}
	idle(t, k)
	contains(t, (<-r.got).body, "id=en-us%2Fvm-enter_pass&account_id="+DefaultAccountID)
	if d := k.Deleted("media"); len(d) != 1 || len(k.Living("media", "")) != 1 {
		t.Error(d)
	}
}
