package fakekazoo

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// attempt is one recorded try of a hook.
type attempt struct {
	hookID string
	at     int64 // gregorian seconds
	doc    *jobj
}

// retriesExceeded is stored in place of a number when no try is left.
const retriesExceeded = "retries exceeded"

// saveAttempt records a try; left is the number of remaining tries including this
// one, which Kazoo calls `try` and `retries`. The fields differ between an answer
// and a transport error, and so does the meaning of retries_left (kazoo
// applications/webhooks/src/webhooks_util.erl debug_resp).
func (k *Kazoo) saveAttempt(h hook, f *Firing, p payload, req request, res response, left int) {
	doc := &jobj{}
	if res.clientError == "" {
		doc.set("resp_status_code", strconv.Itoa(res.status))
		doc.set("resp_headers", loweredHeader(res.header))
		doc.set("resp_body", string(res.body))
		if k.succeeded(p.method, res.status) {
			doc.set("result", "success")
		} else {
			doc.set("try", left)
			doc.set("retries_left", orExceeded(left, left-1))
			doc.set("result", "failure").set("reason", "bad response code")
		}
	} else {
		doc.set("result", "failure").set("reason", "kazoo http client error")
		doc.set("retries", left)
		doc.set("retries_left", orExceeded(left, left))
		doc.set("client_error", res.clientError)
	}
	doc.set("hook_id", h.id)
	doc.set("hook_event", h.internalEvent())
	if c := h.customData(); c != nil && k.version == version5 {
		doc.set("custom_data", c)
	}
	doc.set("event_id", f.EventID)
	doc.set("uri", h.uri())
	doc.set("method", strings.ToLower(p.method))
	sent := &jobj{}
	for _, hd := range req.header {
		sent.set(strings.ToLower(hd[0]), strings.ToLower(hd[1]))
	}
	doc.set("req_headers", sent)
	stored := p.stored
	if k.opt.IntegerIolists {
		stored = integers(stored)
	}
	doc.set("req_body", stored)

	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.clock.now().Add(f.node.ClockOffset).Unix() + gregorian
	doc.set("timestamp", now)
	acc := h.account
	acc.attempts = append(acc.attempts, &attempt{hookID: h.id, at: now, doc: doc})
	if oldest := k.clock.seconds() - int64(k.opt.AttemptsTTL.Seconds()); acc.attempts[0].at < oldest {
		acc.attempts = slices.DeleteFunc(acc.attempts, func(a *attempt) bool { return a.at < oldest })
	}
}

// integers returns an iolist with integers in place of strings of one byte.
func integers(stored any) any {
	switch v := stored.(type) {
	case string:
		if len(v) == 1 {
			return int(v[0])
		}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = integers(v[i])
		}
		return out
	}
	return stored
}

func orExceeded(left, n int) any {
	if left <= 1 {
		return retriesExceeded
	}
	return n
}

func loweredHeader(h http.Header) *jobj {
	out := &jobj{}
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		out.set(strings.ToLower(name), strings.ToLower(strings.Join(h[name], ", ")))
	}
	return out
}

// AttemptCount returns the number of recorded attempts of a hook.
func (k *Kazoo) AttemptCount(hookID string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, a := range k.order {
		for _, at := range a.attempts {
			if at.hookID == hookID {
				n++
			}
		}
	}
	return n
}
