package crossbartest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// hook is a registered webhook. Its document is replaced, never changed, so
// that a copy of a hook is a snapshot.
type hook struct {
	id            string
	serial        int64
	account       *account
	doc           *jobj // its public fields
	disableReason string
}

func (h hook) enabled() bool   { return h.doc.get("enabled") != false }
func (h hook) uri() string     { return h.doc.str("uri") }
func (h hook) event() string   { return strings.ToLower(h.doc.str("hook")) }
func (h hook) format() string  { return h.doc.str("format") }
func (h hook) version() string { return h.doc.str("version") }

func (h hook) verb() string {
	if v := strings.ToLower(h.doc.str("http_verb")); v != "" {
		return v
	}
	return "get"
}

// customData is nil where the hook has none, or an empty object.
func (h hook) customData() *jobj {
	if c := h.doc.obj("custom_data"); c.len() > 0 {
		return c
	}
	return nil
}

// tries is how often the hook is tried in all: retries, kept within 1 to 5
// (kazoo applications/webhooks/src/webhooks_util.erl).
func (h hook) tries() int {
	n := 3
	if v, ok := intOf(h.doc.get("retries")); ok {
		n = v
	}
	return min(max(n, 1), 5)
}

// internalEvent is the name by which the webhooks application knows the event:
// channel events are upper case in its record of attempts.
func (h hook) internalEvent() string {
	if strings.HasPrefix(h.event(), "channel_") {
		return strings.ToUpper(h.event())
	}
	return h.event()
}

// detail is what GET .../webhooks/{id} returns.
func (h hook) detail() *jobj {
	d := h.doc.clone()
	if h.disableReason != "" {
		d.set("disable_reason", h.disableReason)
	}
	return d.set("id", h.id)
}

// summary is all that the listing tells of a hook
// (kazoo applications/crossbar/priv/couchdb/account/webhooksdb-webhooks.json).
func (h hook) summary() *jobj {
	s := obj("id", h.id)
	for _, f := range []string{"hook", "name", "uri", "group"} {
		if v := h.doc.get(f); v != nil {
			s.set(f, v)
		}
	}
	s.set("enabled", h.enabled())
	if h.disableReason != "" {
		s.set("disable_reason", h.disableReason)
	}
	return s
}

func intOf(v any) (int, bool) {
	switch v := v.(type) {
	case int:
		return v, true
	case json.Number:
		n, err := v.Int64()
		return int(n), err == nil
	default:
		return 0, false
	}
}

// hooksOf lists an account's hooks in the order of their creation.
func (k *Kazoo) hooksOf(acc *account) []*hook {
	var out []*hook
	for _, h := range k.hooks {
		if h.account == acc {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b *hook) int { return int(a.serial - b.serial) })
	return out
}

func (k *Kazoo) addHook(acc *account, doc *jobj) *hook {
	k.serial++
	h := &hook{id: k.rand.hex(16), serial: k.serial, account: acc, doc: doc}
	k.hooks[h.id] = h
	return h
}

// setHookDoc saves a hook. Enabling it clears the reason of its disabling; the
// failures counted so far are forgotten.
func (k *Kazoo) setHookDoc(h *hook, doc *jobj) {
	h.doc = doc
	if h.enabled() {
		h.disableReason = ""
		delete(k.failures, h.id)
	}
}

// CreateHook registers a hook directly in the database, past the API's checks:
// fields are those of the API. It returns the hook's id.
func (k *Kazoo) CreateHook(account string, fields map[string]any) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	acc, err := k.accountOr(account)
	if err != nil {
		return "", err
	}
	return k.addHook(acc, k.hookDefaults(jobjOf(fields))).id, nil
}

// DisableHook switches a hook off. The reason may be empty; Kazoo's own is
// ReasonTooManyFailures.
func (k *Kazoo) DisableHook(id, reason string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.hooks[id]
	if h == nil {
		return fmt.Errorf("hook %q: %w", id, ErrNotFound)
	}
	k.disableLocked(h, reason)
	return nil
}

func (k *Kazoo) disableLocked(h *hook, reason string) {
	h.doc = h.doc.clone().set("enabled", false)
	h.disableReason = reason
	delete(k.failures, h.id)
}
