package fakekazoo

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// hook is a registered webhook. Its document is replaced, never changed, so
// that a copy of a hook is a snapshot.
type hook struct {
	id            string
	serial        int64
	account       *account
	revision      int
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

// customData returns nil if the hook has none or an empty object.
func (h hook) customData() *jobj {
	if c := h.doc.obj("custom_data"); c.len() > 0 {
		return c
	}
	return nil
}

// tries returns the total number of tries: retries, limited to 1 to 5 (kazoo
// applications/webhooks/src/webhooks_util.erl).
func (h hook) tries() int {
	n := 3
	if v, ok := intOf(h.doc.get("retries")); ok {
		n = v
	}
	return min(max(n, 1), 5)
}

// internalEvent returns the webhooks application's name of the event: channel
// events are upper case in its record of attempts.
func (h hook) internalEvent() string {
	if strings.HasPrefix(h.event(), "channel_") {
		return strings.ToUpper(h.event())
	}
	return h.event()
}

// detail is what GET .../webhooks/{id} returns. On 4.3 it lacks the reason of
// the disabling, unless a PATCH has saved it into the document.
func (k *Kazoo) detail(h *hook) *jobj {
	d := h.doc.clone()
	if h.disableReason != "" && k.version == version5 {
		d.set("disable_reason", h.disableReason)
	}
	return d.set("id", h.id)
}

// etag returns the document's revision, for the envelope and the header (kazoo
// applications/crossbar/src/crossbar_doc.erl rev_to_etag).
func (h hook) etag() string { return strconv.Itoa(h.revision) + "-" + strings.Repeat(h.id[:8], 4) }

// summary is all that the listing shows of a hook (kazoo
// applications/crossbar/priv/couchdb/account/webhooksdb-webhooks.json).
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
	h := &hook{id: k.rand.hex(16), serial: k.serial, account: acc, doc: doc, revision: 1}
	k.views.absent(k.clock, h.id, hookView(acc))
	k.hooks[h.id] = h
	k.publish(h.id)
	return h
}

// setHookDoc saves a hook. Enabling it clears the reason of its disabling.
func (k *Kazoo) setHookDoc(h *hook, doc *jobj) {
	k.changingHook(h)
	h.doc = doc
	h.revision++
	if h.enabled() {
		h.disableReason = ""
	}
	k.publish(h.id)
}

func (k *Kazoo) removeHook(id string) {
	k.changingHook(k.hooks[id])
	delete(k.hooks, id)
	k.publish(id)
}

func (k *Kazoo) changingHook(h *hook) {
	k.views.was(k.clock, h.id, listRow{hookKey(h), h.summary()}, hookView(h.account))
}

func hookView(a *account) string { return a.ID + "/webhooks" }

func hookKey(h *hook) string { return fmt.Sprintf("%020d", h.serial) }

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
	k.setHookDoc(h, h.doc.clone().set("enabled", false))
	h.disableReason = reason
	delete(k.failures, h.id)
}

// ChangeHook changes a hook as somebody else would, past the API's checks: the
// fields are merged at the top level, a nil removes one.
func (k *Kazoo) ChangeHook(id string, fields map[string]any) error {
	_, err := k.changeHook(id, fields)
	return err
}

func (k *Kazoo) changeHook(id string, fields map[string]any) (was *jobj, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.hooks[id]
	if h == nil {
		return nil, fmt.Errorf("hook %q: %w", id, ErrNotFound)
	}
	was = h.doc
	k.setHookDoc(h, merged(h.doc, jobjOf(fields)))
	return was, nil
}

// ChangeHookFor changes a hook like ChangeHook and undoes the change after d, in
// real time, whatever the hook's state then. It returns at once.
func (k *Kazoo) ChangeHookFor(id string, fields map[string]any, d time.Duration) error {
	was, err := k.changeHook(id, fields)
	if err != nil {
		return err
	}
	k.wg.Go(func() {
		if !pause(k.ctx, d) {
			return
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if h := k.hooks[id]; h != nil {
			k.setHookDoc(h, was)
		}
	})
	return nil
}

// DeleteHook deletes a hook as somebody else would.
func (k *Kazoo) DeleteHook(id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.hooks[id] == nil {
		return fmt.Errorf("hook %q: %w", id, ErrNotFound)
	}
	k.removeHook(id)
	return nil
}

// merged is a document with fields merged over its top level; a null removes one.
func merged(doc, fields *jobj) *jobj {
	doc = doc.clone()
	for _, f := range fields.fields {
		if f.val == nil {
			doc.del(f.key)
		} else {
			doc.set(f.key, f.val)
		}
	}
	return doc
}
