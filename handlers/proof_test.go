package handlers

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"kazoohook/internal/event"
)

const (
	signingKey = "the-key-of-the-hook"
	formerKey  = "the-former-key-of-the-hook"
)

// signed is a body of version 2 as Kazoo 5 makes it.
func signed(name, data, key string) string {
	const at = 63907712980
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = fmt.Fprintf(mac, "%d%s", at, data)
	return fmt.Sprintf(`{"action":"event","name":%q,"data":%s,"timestamp":%d,"hmac":%q}`, name, data, at, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// keySince are the keys of one hook that has had them since then.
func keySince(since time.Time) func(hookID string) ([][]byte, time.Time, bool) {
	return func(hookID string) ([][]byte, time.Time, bool) {
		if hookID == "" {
			return nil, since, false
		}
		if hookID == "bare" {
			since = time.Time{}
		}
		return [][]byte{[]byte(signingKey), []byte(formerKey)}, since, hookID == "signing"
	}
}

// TestSignatures: with the right hook secret every request is kept and answered 200,
// and the result of the signature is stored. What may be unsigned at first may not be
// long after the hook got its key, even if no signed request has come to this process.
func TestSignatures(t *testing.T) {
	t.Parallel()
	const user = `{"id":"5f1e","account_id":"a1","type":"user"}`
	const account = `{"id":"a1","type":"account"}`
	const inEnvelope = "action=event&name=doc_deleted&data[id]=a1&data[type]=account&timestamp=63907712980"
	right := signed("doc_deleted", user, signingKey)
	for name, tc := range map[string]struct {
		hook, contentType, body string
		want, later             event.Signature // when the hook has just got its key, and long after
	}{
		"right":                        {"signing", "application/json", right, event.SignedRight, event.SignedRight},
		"by the former key":            {"signing", "application/json", signed("doc_edited", user, formerKey), event.SignedRight, event.SignedRight},
		"whatever the content type":    {"signing", formType, right, event.SignedRight, event.SignedRight},
		"by another key":               {"signing", "application/json", signed("doc_deleted", user, "guess"), event.SignedWrong, event.SignedWrong},
		"changed data":                 {"signing", "application/json", strings.Replace(right, "5f1e", "5f1f", 1), event.SignedWrong, event.SignedWrong},
		"changed time":                 {"signing", "application/json", strings.Replace(right, "980,", "990,", 1), event.SignedWrong, event.SignedWrong},
		"no signature":                 {"signing", "application/json", `{"action":"event","name":"doc_deleted","data":` + user + `,"timestamp":63907712980}`, event.SignedWrong, event.SignedWrong},
		"an empty signature":           {"signing", "application/json", `{"action":"event","name":"doc_deleted","data":` + user + `,"timestamp":63907712980,"hmac":""}`, event.SignedWrong, event.SignedWrong},
		"in flight, form":              {"signing", formType, userDeleted, event.Unsigned, event.SignedWrong},
		"in flight, JSON of version 1": {"signing", "application/json", `{"id":"5f1e","account_id":"a1","action":"doc_deleted","type":"user"}`, event.Unsigned, event.SignedWrong},
		"rubbish":                      {"signing", formType, "%%%", event.Unsigned, event.SignedWrong},
		"account deletion, form":       {"signing", formType, inEnvelope, event.Unsigned, event.Unsigned},
		"account deletion, unsigned":   {"signing", "application/json", `{"action":"event","name":"doc_deleted","data":` + account + `,"timestamp":63907712980}`, event.Unsigned, event.Unsigned},
		"account deletion, wrong":      {"signing", "application/json", signed("doc_deleted", account, "guess"), event.SignedWrong, event.SignedWrong},
		"our hook without a key":       {"bare", formType, userDeleted, event.Unsigned, event.Unsigned},
		"it has just got its key":      {"bare", "application/json", right, event.SignedRight, event.SignedRight},
		"a hook that isn't ours":       {"other", "application/json", signed("doc_deleted", user, "guess"), event.Unsigned, event.SignedWrong},
		"a hook not known yet":         {"other", "application/json", right, event.SignedRight, event.SignedRight},
		"such a hook, unsigned":        {"other", formType, userDeleted, event.Unsigned, event.SignedWrong},
		"such an account deletion":     {"other", formType, inEnvelope, event.Unsigned, event.SignedWrong},
		"no hook id":                   {"", "application/json", right, event.Unsigned, event.SignedWrong},
	} {
		for _, longAfter := range []bool{false, true} {
			start := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
			now, want := start, tc.want
			if longAfter {
				now, want = start.Add(oldForm+time.Second), tc.later
			}
			h := newHarness(t, func(d *testDeps) {
				d.Keys, d.Now = keySince(start), func() time.Time { return now }
			})
			post := func(hook, contentType, body string) reply {
				return h.do("POST", h.public.URL+"/kazoo/"+testSecret+"/object", contentType, body, "X-Hook-ID", hook)
			}
			if got := post(tc.hook, tc.contentType, tc.body); got.status != 200 {
				t.Errorf("%s: answer %d", name, got.status)
			}
			if all := h.journal.all(); len(all) != 1 || all[0].Signature != want || string(all[0].Body) != tc.body {
				t.Errorf("%s, long after %v: kept %+v, want signature %v", name, longAfter, all, want)
			}
			wrong := map[bool]float64{true: 1}[want == event.SignedWrong]
			if n := testutil.ToFloat64(h.metrics.signed.WithLabelValues("wrong")); n != wrong {
				t.Errorf("%s: %v wrong ones counted", name, n)
			}
			if got := strings.Contains(h.log.String(), "without a right signature"); got != (wrong == 1) {
				t.Errorf("%s: warned %v", name, got)
			}
			if strings.Contains(h.log.String(), signingKey) {
				t.Errorf("%s: the key is in the log", name)
			}
		}
	}
}

// TestSignaturesOfKazoo: requests that Kazoo's own code signed are verified.
func TestSignaturesOfKazoo(t *testing.T) {
	t.Parallel()
	f, err := os.Open("../internal/event/testdata/deliveries.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only read from
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	right := 0
	for lines.Scan() {
		var v struct {
			Name   string `json:"name"`
			Verb   string `json:"verb"`
			Format string `json:"format"`
			Key    string `json:"hmac_key"`
			Body   []byte `json:"body_b64"`
			Holds  *bool  `json:"hmac_verifies_with_body_timestamp"`
		}
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if v.Key == "" || v.Format != "json" || v.Verb == "get" {
			continue
		}
		h := newHarness(t, func(d *testDeps) {
			d.Keys = func(string) ([][]byte, time.Time, bool) { return [][]byte{[]byte(v.Key)}, time.Now(), true }
		})
		h.do("POST", h.public.URL+"/kazoo/"+testSecret+"/object", "application/json", string(v.Body), "X-Hook-ID", "h1")
		want := event.SignedRight
		if strings.Contains(v.Name, "custom_data") { // Kazoo merges it after signing
			want = event.SignedWrong
		}
		if all := h.journal.all(); len(all) != 1 || all[0].Signature != want {
			t.Errorf("%s: %+v", v.Name, all)
		}
		right++
	}
	if right < 6 {
		t.Errorf("only %d signed ones were tried", right)
	}
}

// TestPanicWhileVerifying: an event whose verification panics is kept.
func TestPanicWhileVerifying(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) { d.Keys = func(string) ([][]byte, time.Time, bool) { panic("hush") } })
	if got := h.deliver(userDeleted); got.status != 200 {
		t.Errorf("%+v", got)
	}
	if all := h.journal.all(); len(all) != 1 || all[0].Signature != event.SignedWrong || strings.Contains(h.log.String(), "hush") {
		t.Errorf("%+v, log %s", all, h.log)
	}
}
