package fakekazoo

import (
	"net/http"
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

// hookDefaults completes a hook as the schema's defaults do, and drops what the
// version does not keep.
func (k *Kazoo) hookDefaults(doc *jobj) *jobj {
	defaults := []jfield{
		{"enabled", true}, {"http_verb", "post"}, {"retries", 2}, {"include_subaccounts", false}, {"format", "form-data"},
	}
	if k.version == version43 || k.opt.Version2 == Version2Dropped {
		doc.del("version")
		doc.del("security_settings")
	}
	if k.version == version43 {
		doc.del("include_internal_legs")
	} else {
		defaults = append(defaults, jfield{"include_internal_legs", true})
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
// applications/crossbar/src/modules/cb_webhooks.erl check_modifiers). If something
// is wrong the reply says what.
func (k *Kazoo) checkHook(doc *jobj) (reply, bool) {
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
	if errs.len() == 0 && !k.checkModifiers(doc, errs) {
		return systemError(http.StatusServiceUnavailable, "datastore_fault", "datastore fault"), false
	}
	return invalid(errs), errs.len() == 0
}

func (k *Kazoo) checkHookEvent(doc, errs *jobj) {
	event := doc.str("hook")
	names := []any{"all"}
	for _, o := range k.known() {
		names = append(names, o.id)
	}
	if k.fresh { // the schema has no enumeration yet (cb_webhooks.erl maybe_revise_schema)
		return
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
		versions := []any{"v1", "v2"}
		if k.opt.Version2 == Version2Refused {
			versions = versions[:1]
		}
		enum("version", versions...)
		checkSecurity(doc, errs)
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

func checkSecurity(doc, errs *jobj) {
	switch settings := doc.get("security_settings").(type) {
	case nil:
	case *jobj:
		if key := settings.get("sha256_key"); key != nil {
			if _, ok := key.(string); !ok {
				wrongType(errs, "security_settings.sha256_key", key, "string")
			}
		}
	default:
		wrongType(errs, "security_settings", settings, "object")
	}
}

// checkModifiers reads the hook's metadata, as the offer shows it at the moment;
// false if there is none, which Kazoo answers as a datastore fault.
func (k *Kazoo) checkModifiers(doc, errs *jobj) bool {
	custom := doc.obj("custom_data")
	event := strings.ToLower(doc.str("hook"))
	if event == "all" {
		return true
	}
	offer, _ := k.offered()
	for _, o := range offer {
		if o.id != event {
			continue
		}
		for _, m := range o.modifiers {
			field := "custom_data." + m.name
			if k.version == version43 {
				field = m.name
			}
			got := custom.get(m.name)
			if got == nil {
				errs.set(field, obj("required", obj("message", "missing required modifier")))
			} else if values := m.values(); !slices.Contains(values, got) {
				errs.set(field, obj("enum", obj("message", "value not found in enumerated list of values",
					"cause", got, "target", values)))
			}
		}
		return true
	}
	return false
}

// uriAllowed reports whether a URI is http or https with a host, loopback only if allowed.
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
