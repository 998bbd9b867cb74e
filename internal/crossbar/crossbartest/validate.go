package crossbartest

import (
	"net/url"
	"slices"
	"strings"
)

// The shapes of Crossbar's validation errors: field, code, detail.

func required(errs *jobj, field string) {
	errs.set(field, obj("required", obj("message", "Field is required but missing")))
}

func notOneOf(errs *jobj, field string, value any, target []any) {
	errs.set(field, obj("enum", obj("message", "Value not found in enumerated list of values", "target", target, "value", value)))
}

func wrongType(errs *jobj, field string, value any, target string) {
	errs.set(field, obj("type", obj("message", "Value did not match type(s): "+target, "target", target, "value", value)))
}

// hookDefaults completes a hook as the schema's defaults do. HEAD's schema has
// none for the format.
func (k *Kazoo) hookDefaults(doc *jobj) *jobj {
	defaults := []jfield{{"enabled", true}, {"http_verb", "post"}, {"retries", 2}, {"include_subaccounts", false}}
	if k.version == version43 {
		defaults = append(defaults, jfield{"format", "form-data"})
	}
	for _, d := range defaults {
		if !doc.has(d.key) {
			doc.set(d.key, d.val)
		}
	}
	return doc
}

// checkHook validates a hook: the schema first, then, if that holds, the
// modifiers of its event (kazoo applications/crossbar/priv/couchdb/schemas/webhooks.json,
// applications/crossbar/src/modules/cb_webhooks.erl check_modifiers). It returns
// what is wrong.
func (k *Kazoo) checkHook(doc *jobj) *jobj {
	errs := &jobj{}
	for _, field := range []string{"hook", "name", "uri"} {
		switch v := doc.get(field).(type) {
		case nil:
			required(errs, field)
		case string:
			if v == "" {
				errs.set(field, obj("minLength", obj("message", "Value must be at least 1 characters", "target", 1)))
			}
		default:
			wrongType(errs, field, v, "string")
		}
	}
	k.checkHookEvent(doc, errs)
	k.checkHookOptions(doc, errs)
	if uri, isString := doc.get("uri").(string); isString && uri != "" && !k.uriAllowed(uri) {
		errs.set("uri", obj("error", obj("message", "invalid client URL", "value", uri)))
	}
	if errs.len() == 0 {
		k.checkModifiers(doc, errs)
	}
	return errs
}

func (k *Kazoo) checkHookEvent(doc, errs *jobj) {
	event := doc.str("hook")
	names := []any{"all"}
	for _, o := range k.offered() {
		names = append(names, o.id)
	}
	if event != "" && !slices.Contains(names, any(strings.ToLower(event))) {
		notOneOf(errs, "hook", event, names)
	}
}

func (k *Kazoo) checkHookOptions(doc, errs *jobj) {
	enum := func(field string, values ...any) {
		if v := doc.get(field); doc.has(field) && !slices.Contains(values, v) {
			notOneOf(errs, field, v, values)
		}
	}
	enum("http_verb", "get", "post", "put")
	enum("format", "form-data", "json")
	if k.version == version5 {
		enum("version", "v1", "v2")
	}
	for _, field := range []string{"enabled", "include_subaccounts", "include_internal_legs"} {
		if v := doc.get(field); doc.has(field) {
			if _, ok := v.(bool); !ok {
				wrongType(errs, field, v, "boolean")
			}
		}
	}
	if v := doc.get("retries"); doc.has("retries") {
		n, ok := intOf(v)
		switch {
		case !ok:
			wrongType(errs, "retries", v, "integer")
		case n < 0:
			errs.set("retries", obj("minimum", obj("message", "Value must be at least 0", "target", 0, "value", n)))
		case n > 4:
			errs.set("retries", obj("maximum", obj("message", "Value must be at most 4", "target", 4, "value", n)))
		}
	}
	switch custom := doc.get("custom_data").(type) {
	case nil:
	case *jobj:
		for _, f := range custom.fields {
			if _, ok := f.val.(string); !ok {
				wrongType(errs, "custom_data."+f.key, f.val, "string")
			}
		}
	default:
		wrongType(errs, "custom_data", custom, "object")
	}
}

func (k *Kazoo) checkModifiers(doc, errs *jobj) {
	custom := doc.obj("custom_data")
	for _, o := range k.offered() {
		if o.id != strings.ToLower(doc.str("hook")) {
			continue
		}
		for _, m := range o.modifiers {
			field := "custom_data." + m.name
			got := custom.get(m.name)
			if got == nil {
				errs.set(field, obj("required", obj("message", "missing required modifier")))
			} else if values := m.values(); !slices.Contains(values, got) {
				errs.set(field, obj("enum", obj("message", "value not found in enumerated list of values",
					"cause", got, "target", values)))
			}
		}
	}
}

// uriAllowed: http or https with a host; not this machine, if that matters.
func (k *Kazoo) uriAllowed(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return false
	}
	if k.opt.RefuseLoopback {
		return !slices.Contains([]string{"localhost", "127.0.0.1", "0.0.0.0"}, strings.ToLower(u.Hostname()))
	}
	return true
}

// checkObject validates the few fields that each kind requires, and that a
// username is not taken in its account.
func (c *call) checkObject(kd kind, doc *jobj, self string) *jobj {
	errs := &jobj{}
	needed := []string{"name"}
	if kd.path == "users" {
		needed = []string{"first_name", "last_name"}
	}
	if kd.path == "callflows" {
		needed = nil
	}
	for _, field := range needed {
		switch v := doc.get(field).(type) {
		case nil:
			required(errs, field)
		case string:
		default:
			wrongType(errs, field, v, "string")
		}
	}
	username := doc.str("username")
	if kd.path != "users" || username == "" {
		return errs
	}
	for _, d := range c.account.collection("users").live() {
		if d.id != self && strings.EqualFold(d.body.str("username"), username) {
			errs.set("username", obj("unique", obj("message", "Username is not unique for this account", "cause", username)))
		}
	}
	return errs
}
