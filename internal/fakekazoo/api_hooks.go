package fakekazoo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func (c *call) listHooks() reply {
	var v listView
	for _, h := range c.k.hooksOf(c.account) {
		v = append(v, listRow{hookKey(h), h.summary()})
	}
	return c.list(c.k.views.read(c.k.clock, hookView(c.account), v), true)
}

// createHook doesn't check for uniqueness: the same PUT twice makes two hooks.
func (c *call) createHook() reply {
	doc := c.k.hookDefaults(publicFields(c.data))
	if bad, ok := c.k.checkHook(doc); !ok {
		return bad
	}
	h := c.k.addHook(c.account, doc)
	return created(c.k.detail(h)).withRevision(h.etag())
}

// reenableHooks is the PATCH of the whole collection.
func (c *call) reenableHooks() reply {
	switch v := c.data.get("re-enable"); v {
	case nil:
		return invalid(obj("re-enable", obj("required", obj("message", "re-enable is required to patch collections"))))
	case true, "true":
	default:
		return invalid(obj("re-enable", obj("enum", obj("message", "value not found in enumerated list of values", "target", []any{true}))))
	}
	for _, h := range c.k.hooksOf(c.account) {
		if h.disableReason != "" {
			c.k.setHookDoc(h, h.doc.clone().set("enabled", true))
		}
	}
	return ok("hooks updated")
}

// hook finds the hook that the path names, in the path's account.
func (c *call) hook() *hook {
	h := c.k.hooks[c.args[0]]
	if h == nil || h.account != c.account {
		return nil
	}
	return h
}

func (c *call) getHook() reply {
	h := c.hook()
	if h == nil {
		return badIdentifier(c.args[0])
	}
	return ok(c.k.detail(h)).withRevision(h.etag())
}

func (c *call) replaceHook() reply {
	h := c.hook()
	if h == nil {
		return badIdentifier(c.args[0])
	}
	return c.saveHook(h, c.k.hookDefaults(publicFields(c.data)))
}

// patchHook merges at the top level; a null removes a field. 4.3 reads the hook
// with the reason of its disabling and saves that permanently.
func (c *call) patchHook() reply {
	h := c.hook()
	if h == nil {
		return badIdentifier(c.args[0])
	}
	doc := c.k.hookDefaults(merged(h.doc, publicFields(c.data)))
	if h.disableReason != "" && c.k.version == version43 {
		doc.set("disable_reason", h.disableReason)
	}
	return c.saveHook(h, doc)
}

func (c *call) saveHook(h *hook, doc *jobj) reply {
	if bad, ok := c.k.checkHook(doc); !ok {
		return bad
	}
	c.k.setHookDoc(h, doc)
	return ok(c.k.detail(h)).withRevision(h.etag())
}

func (c *call) deleteHook() reply {
	h := c.hook()
	if h == nil {
		return badIdentifier(c.args[0])
	}
	c.k.removeHook(h.id)
	return ok(c.k.detail(h))
}

// publicFields removes the fields that a client may not set.
func publicFields(data *jobj) *jobj {
	doc := data.clone()
	for _, f := range []string{"id", "_id", "_rev", "disable_reason"} {
		doc.del(f)
	}
	return doc
}

// maxRange is the longest span from created_from to created_to.
const maxRange = 31 * 24 * 60 * 60

// listAttempts reads the attempts of an account or of one of its hooks, newest
// first. Their keys are seconds, so with many failures in one second next_start_key
// gets stuck.
func (c *call) listAttempts() reply {
	from, to, errs := c.createdRange()
	if errs.len() > 0 {
		return invalid(errs)
	}
	var v listView
	for _, a := range c.account.attempts {
		if a.at >= from && a.at <= to && (len(c.args) == 0 || a.hookID == c.args[0]) {
			v = append(v, listRow{fmt.Sprintf("%020d", a.at), a.doc})
		}
	}
	// The clocks of nodes differ, so the order of saving is not that of the view.
	slices.SortStableFunc(v, func(a, b listRow) int { return strings.Compare(a.k, b.k) })
	return c.list(v, c.r.URL.Query().Get("ascending") == "true")
}

func (c *call) createdRange() (from, to int64, errs *jobj) {
	errs = &jobj{}
	read := func(name string, fallback int64) int64 {
		s := c.r.URL.Query().Get(name)
		if s == "" {
			return fallback
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			wrongType(errs, name, s, "integer")
		}
		return n
	}
	to = read("created_to", c.k.clock.seconds())
	from = read("created_from", to-maxRange)
	if errs.len() > 0 {
		return 0, 0, errs
	}
	switch {
	case from > to:
		errs.set("created_from", obj("date_range", obj("message", "created_from is prior to created_to", "cause", from)))
	case to-from > maxRange:
		errs.set("created_from", obj("date_range", obj(
			"message", fmt.Sprintf("created_to is more than %d seconds from created_from", maxRange), "cause", to)))
	}
	return from, to, errs
}
