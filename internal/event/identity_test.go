package event

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func dedupeOf(d Request) Dedupe { return Route(d).Dedupe }

func TestDifferentEventsHaveDifferentKeys(t *testing.T) {
	t.Parallel()
	base := "hook_event=channel_bridge&call_id=c1&timestamp=5&account_id=a1&other_leg_call_id=o1"
	pairs := map[string][2]Request{
		"another object":        {form("object", "id=u1&action=doc_deleted&type=user"), form("object", "id=u2&action=doc_deleted&type=user")},
		"another type":          {form("object", "id=u1&action=doc_deleted&type=user"), form("object", "id=u1&action=doc_deleted&type=device")},
		"edits by another hook": {form("object", "id=u1&action=doc_edited&type=user"), otherHook(form("object", "id=u1&action=doc_edited&type=user"))},
		"edits that differ":     {form("object", "id=u1&action=doc_edited&type=user"), form("object", "id=u1&action=doc_edited&type=user&x=1")},
		"another call":          {form("", base), form("", strings.Replace(base, "c1", "c2", 1))},
		"another second":        {form("", base), form("", strings.Replace(base, "=5", "=6", 1))},
		"another leg":           {form("", base), form("", strings.Replace(base, "o1", "o2", 1))},
		"another channel event": {form("", base), form("", strings.Replace(base, "bridge", "answer", 1))},
		"another account":       {form("", base), form("", strings.Replace(base, "a1", "a2", 1))},
		"parking": {form("parking", "event_name=PARK_PARKED&call_id=c1&timestamp=5"),
			form("parking", "event_name=PARK_RETRIEVED&call_id=c1&timestamp=5")},
		"another msg_id": {form("notifications", "event_name=register&event_category=notification&msg_id=m1"),
			form("notifications", "event_name=register&event_category=notification&msg_id=m2")},
		"same msg_id, other content": {form("notifications", "event_name=register&event_category=notification&msg_id=m1&u=1"),
			form("notifications", "event_name=register&event_category=notification&msg_id=m1&u=2")},
		"another sms id": {form("sms", "id=1&from=a&to=b&body=x"), form("sms", "id=2&from=a&to=b&body=x")},
		"another text":   {form("sms", "id=1&from=a&to=b&body=x"), form("sms", "id=1&from=a&to=b&body=y")},
		"another stream": {form("stream", "event_name=stream_start&stream_id=s1&timestamp=1"),
			form("stream", "event_name=stream_start&stream_id=s2&timestamp=1")},
		"v2 edits in different seconds": {form("object", "action=event&name=doc_edited&data[id]=u1&data[type]=user&timestamp=1"),
			form("object", "action=event&name=doc_edited&data[id]=u1&data[type]=user&timestamp=2")},
		"v2 edits of different revisions": {form("object", "action=event&name=doc_edited&data[id]=u1&data[type]=user&data[rev]=1&timestamp=1"),
			form("object", "action=event&name=doc_edited&data[id]=u1&data[type]=user&data[rev]=2&timestamp=1")},
		"not understood, by another path": {anonymous(form("a", "x=1")), anonymous(form("b", "x=1"))},
	}
	for name, p := range pairs {
		if dedupeOf(p[0]) == dedupeOf(p[1]) {
			t.Errorf("%s: same key", name)
		}
	}
}

func TestSameEventsHaveTheSameKey(t *testing.T) {
	t.Parallel()
	call := "hook_event=channel_bridge&call_id=c1%40h&timestamp=5&account_id=a1&other_leg_call_id=o1"
	pairs := map[string][2]Request{
		"creation and deletion share the object's key": {form("object", "id=u1&account_id=a1&action=doc_created&type=user"),
			form("object", "id=u1&account_id=a1&action=doc_deleted&type=user")},
		"the account is no part of a deletion": {form("object", "id=acc&account_id=acc&action=doc_deleted&type=account"),
			form("object", "action=event&name=doc_deleted&data[id]=acc&data[type]=account&timestamp=9")},
		"a deletion through two hooks": {form("object", "id=u1&action=doc_deleted&type=user"),
			otherHook(form("object", "id=u1&action=doc_deleted&type=user"))},
		"a call through two hooks": {form("channel_bridge", call), otherHook(form("channel_bridge", call+"&tenant=7"))},
		"a call as form and as JSON": {form("channel_bridge", call), jsonBody("channel_bridge",
			`{"hook_event":"channel_bridge","call_id":"c1@h","timestamp":5,"account_id":"a1","other_leg_call_id":"o1"}`)},
		"a repeated edit":    {form("object", "id=u1&action=doc_edited&type=user"), form("object", "id=u1&action=doc_edited&type=user")},
		"a repeated unknown": {form("object", "x=1"), form("object", "x=1")},
		"an edit, POST and recovered": {form("object", "id=u1&action=doc_edited&type=user"), func() Request {
			d := form("", "id=u1&action=doc_edited&type=user")
			d.Source, d.Method = SourceRecovered, "post"
			return d
		}()},
	}
	for name, p := range pairs {
		if dedupeOf(p[0]) != dedupeOf(p[1]) {
			t.Errorf("%s: different keys", name)
		}
	}
}

func TestLifecycleKeyIsTheRoutedOne(t *testing.T) {
	t.Parallel()
	got := dedupeOf(form("object", "id=u1&account_id=a1&action=doc_deleted&type=user"))
	if want := (Dedupe{RuleLifecycle, LifecycleKey("a1", "user", "u1")}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// The keys are kept on disk. If a release made them in another way, deliveries
// that are repeated across the upgrade would not be recognised as duplicates.
func TestKeysAreStable(t *testing.T) {
	t.Parallel()
	key := LifecycleKey("a1", "user", "5f1e2d3c4b5a69788796a5b4c3d2e1f0")
	if got, want := hex.EncodeToString(key[:]), stableLifecycleKey; got != want {
		t.Errorf("lifecycle key %s, want %s", got, want)
	}
	key = dedupeOf(form("", "hook_event=channel_bridge&call_id=c1&timestamp=5&account_id=a1")).Key
	if got, want := hex.EncodeToString(key[:]), stableContentKey; got != want {
		t.Errorf("content key %s, want %s", got, want)
	}
}

const (
	stableLifecycleKey = "2279add84871218a8796a5b4c3d2e1f0"
	stableContentKey   = "9c3c459ce277179e78fd6a10b8bdda3d"
)

func TestKeyPartsAreKeptApart(t *testing.T) {
	t.Parallel()
	sum := func(parts ...string) Key {
		k := newKey("t")
		for _, p := range parts {
			k.add(p)
		}
		return k.sum()
	}
	big := strings.Repeat("x", 300)
	keys := []Key{sum("a", "b"), sum("ab", ""), sum("", "ab"), sum("ab"), sum(big), sum(big, ""), sum(big, "a"), sum("a", big)}
	for i := range keys {
		for j := range keys[:i] {
			if bytes.Equal(keys[i][:], keys[j][:]) {
				t.Errorf("lists %d and %d have the same key", i, j)
			}
		}
	}
}

func otherHook(d Request) Request {
	d.HookID = "h2"
	return d
}

func anonymous(d Request) Request {
	d.HookID = ""
	return d
}

// TestIdentityOfIDsThatAreNotUnique: media prompts have the same ids in every account,
// so the account counts. It doesn't for CouchDB's random ids.
func TestIdentityOfIDsThatAreNotUnique(t *testing.T) {
	t.Parallel()
	const drawn, prompt = "5f1e2d3c4b5a69788796a5b4c3d2e1f0", "en-us%2Fvm-greeting"
	body := func(account, id string) Request {
		return form("object", "id="+id+"&account_id="+account+"&action=doc_deleted&type=media")
	}
	for name, tt := range map[string]struct {
		a, b Request
		same bool
	}{
		"prompts of two accounts":      {body("a1", prompt), body("a2", prompt), false},
		"a prompt twice":               {body("a1", prompt), body("a1", prompt), true},
		"drawn ids, another account":   {body("a1", drawn), body("a2", drawn), true},
		"upper case is not drawn":      {body("a1", strings.ToUpper(drawn)), body("a2", strings.ToUpper(drawn)), false},
		"account and prompt run apart": {body("a1", "x"), body("a", "1x"), false},
	} {
		if same := dedupeOf(tt.a) == dedupeOf(tt.b); same != tt.same {
			t.Errorf("%s: same %v", name, same)
		}
		a, b := Route(tt.a), Route(tt.b)
		if same := a.OrderingKey() == b.OrderingKey(); same != tt.same {
			t.Errorf("%s: ordering keys %s, %s", name, a.OrderingKey(), b.OrderingKey())
		}
	}
}

func TestOrderingKeys(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"id=5f1e2d3c4b5a69788796a5b4c3d2e1f0&account_id=a1&action=doc_edited&type=user": "object/user/5f1e2d3c4b5a69788796a5b4c3d2e1f0",
		"id=en-us%2Fhi&account_id=a1&action=doc_edited&type=media":                      "object/a1/media/en-us/hi",
		"hook_event=channel_create&call_id=c1&account_id=a1&timestamp=1":                "call/c1",
		"hook_event=channel_destroy&call_id=c1&account_id=a1&timestamp=2":               "call/c1",
		"hook_event=channel_destroy&account_id=a1":                                      "account/a1",
		"event_name=PARK_PARKED&call_id=c1&account_id=a1":                               "call/c1",
		"hook_event=cdr&call_id=c1&account_id=a1":                                       "call/c1",
		"event_name=stream_start&stream_id=s1&call_id=c1&account_id=a1":                 "call/c1",
		"type=sms&id=m1&from=a&to=b&account_id=a1":                                      "message/m1",
		"type=mms&from=a&to=b&account_id=a1":                                            "account/a1",
		"event_category=notification&event_name=missed_call&call_id=c1&account_id=a1":   "account/a1",
		"what=ever&account_id=a1":                                                       "",
	} {
		r := Route(form("", body))
		if got := r.OrderingKey(); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	other := Route(form("qubicle_queue", "account_id=a1&x=1"))
	if got := other.OrderingKey(); got != "account/a1" {
		t.Errorf("another application's hook: %q", got)
	}
}
