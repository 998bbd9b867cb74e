package crossbar

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// Hook is a webhook registered in Kazoo
// (kazoo 4.3 applications/crossbar/priv/couchdb/schemas/webhooks.json).
type Hook struct {
	ID                 string
	Hook               string // "object", "channel_create", ...
	Name               string
	URI                string // holds our secret segment: not for logs
	Verb               string // http_verb: "post", "get" or "put"; lower case
	Format             string // "form-data" or "json"
	Retries            int    // 0 to 4; -1 if Kazoo gives none
	CustomData         map[string]any
	IncludeSubaccounts bool
	Enabled            bool
	DisableReason      string // Kazoo's, if it switched the hook off; only Enabled is reliable
	// Version is "v1" or "v2". Kazoo 4.3 drops it: the hook reads back without one.
	Version string
	// SecurityKey is security_settings.sha256_key, with which Kazoo 5 signs the
	// requests of version 2. Replacing a hook without it removes it.
	SecurityKey Secret
	// InternalLegs is include_internal_legs; nil if it should not be sent, or if
	// Kazoo does not know it (4.3).
	InternalLegs *bool
	// Revision is the revision of Kazoo's document, "3-5f1e...": see Saves. Empty
	// if the answer has none.
	Revision string
	// Raw is the hook as Kazoo sent it, with SecurityKey masked. It holds our
	// secret segment: not for logs.
	Raw json.RawMessage
}

// Saves is the number of saves of the hook's document, creation included: the
// number in its revision (crossbar_doc.erl rev_to_etag); 0 if it is not known. If
// it has grown by more than our own changes, someone has changed the hook, or Kazoo
// has switched it off, even if that was undone.
func (h Hook) Saves() int {
	n, err := strconv.Atoi(strings.SplitN(h.Revision, "-", 2)[0])
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// Secret masks itself when it is printed or marshalled.
type Secret string

// String masks the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString masks the value.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalJSON masks the value.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// HookSummary is a hook in a listing.
type HookSummary struct {
	ID, Hook, Name string
	URI            string // holds our secret segment: not for logs
	Group          string
	Enabled        bool
	DisableReason  string
}

// hookDoc is a hook in the API's form; Kazoo mixes types.
type hookDoc struct {
	ID                 string          `json:"id"`
	Hook               string          `json:"hook"`
	Name               string          `json:"name"`
	URI                string          `json:"uri"`
	Group              string          `json:"group"`
	Verb               string          `json:"http_verb"`
	Format             string          `json:"format"`
	Retries            json.RawMessage `json:"retries"`
	CustomData         json.RawMessage `json:"custom_data"`
	IncludeSubaccounts json.RawMessage `json:"include_subaccounts"`
	Enabled            json.RawMessage `json:"enabled"`
	DisableReason      json.RawMessage `json:"disable_reason"`
	Version            json.RawMessage `json:"version"`
	SecuritySettings   json.RawMessage `json:"security_settings"`
	InternalLegs       json.RawMessage `json:"include_internal_legs"`
}

// Hooks lists the hooks of an account, all pages.
func (c *Client) Hooks(ctx context.Context, account string) ([]HookSummary, error) {
	path, err := resource("accounts", account, "webhooks")
	if err != nil {
		return nil, err
	}
	l := &listing{c: c, req: request{op: opHooksList, path: path, auth: true}, maxItems: c.limits.hooks, key: itemID}
	hooks := []HookSummary{}
	for raw, err := range l.items(ctx) {
		if err != nil {
			return nil, err
		}
		var d hookDoc
		if err := json.Unmarshal(raw, &d); err != nil {
			return nil, c.malformed(opHooksList, http.MethodGet, path, &envelope{}, "a hook is not as expected")
		}
		hooks = append(hooks, HookSummary{
			ID: d.ID, Hook: d.Hook, Name: d.Name, URI: d.URI, Group: d.Group,
			Enabled: boolean(d.Enabled, true), DisableReason: text(d.DisableReason),
		})
	}
	return hooks, nil
}

// Hook reads one hook with all its settings.
func (c *Client) Hook(ctx context.Context, account, id string) (Hook, error) {
	return c.hookCall(ctx, request{op: opHooksGet, method: http.MethodGet}, account, id)
}

// CreateHook registers a hook. Kazoo does not check for uniqueness, so a request
// that may have been processed is not repeated: the error is then ErrAmbiguous, and
// the caller must list the hooks before trying again.
func (c *Client) CreateHook(ctx context.Context, account string, h Hook) (Hook, error) {
	path, err := resource("accounts", account, "webhooks")
	if err != nil {
		return Hook{}, err
	}
	made, err := c.hookAt(ctx, request{op: opHooksCreate, method: http.MethodPut, path: path, body: c.document(h), once: true})
	if err == nil && made.ID == "" {
		e := c.malformed(opHooksCreate, http.MethodPut, path, &envelope{}, "the created hook has no id")
		e.ambiguous = true
		return Hook{}, e
	}
	return made, err
}

// ReplaceHook replaces all settings of the hook h.ID.
func (c *Client) ReplaceHook(ctx context.Context, account string, h Hook) (Hook, error) {
	return c.hookCall(ctx, request{op: opHooksSet, method: http.MethodPost, body: c.document(h)}, account, h.ID)
}

// EnableHook switches a hook on again, which also clears Kazoo's disable reason
// and its count of failures.
func (c *Client) EnableHook(ctx context.Context, account, id string) (Hook, error) {
	return c.hookCall(ctx, request{op: opHooksEnable, method: http.MethodPatch, body: map[string]any{"enabled": true}}, account, id)
}

// DeleteHook removes a hook. It also succeeds if the hook does not exist.
func (c *Client) DeleteHook(ctx context.Context, account, id string) error {
	path, err := resource("accounts", account, "webhooks", id)
	if err != nil {
		return err
	}
	_, err = c.call(ctx, request{op: opHooksDelete, method: http.MethodDelete, path: path, auth: true})
	if IsNotFound(err) {
		return nil
	}
	return err
}

func (c *Client) hookCall(ctx context.Context, r request, account, id string) (Hook, error) {
	var err error
	if r.path, err = resource("accounts", account, "webhooks", id); err != nil {
		return Hook{}, err
	}
	return c.hookAt(ctx, r)
}

func (c *Client) hookAt(ctx context.Context, r request) (Hook, error) {
	r.auth = true
	env, err := c.call(ctx, r)
	if err != nil {
		return Hook{}, err
	}
	h, err := parseHook(env.Data)
	c.secrets.keep(string(h.SecurityKey))
	if env.Revision != "automatic" {
		h.Revision = env.Revision
	}
	if err != nil {
		e := c.malformed(r.op, r.method, r.path, env, "the answer is not a hook")
		e.ambiguous = r.once
		return Hook{}, e
	}
	return h, nil
}

func parseHook(raw json.RawMessage) (Hook, error) {
	var d hookDoc
	if err := object(raw, &d); err != nil {
		return Hook{}, err
	}
	h := Hook{
		ID: d.ID, Hook: d.Hook, Name: d.Name, URI: d.URI, Verb: strings.ToLower(d.Verb), Format: d.Format,
		Retries: integer(d.Retries, -1), IncludeSubaccounts: boolean(d.IncludeSubaccounts, false),
		Enabled: boolean(d.Enabled, true), DisableReason: text(d.DisableReason), Version: text(d.Version), Raw: raw,
	}
	if legs := text(d.InternalLegs); legs != "" {
		known := boolean(d.InternalLegs, true)
		h.InternalLegs = &known
	}
	var settings struct {
		Key json.RawMessage `json:"sha256_key"`
	}
	if json.Unmarshal(d.SecuritySettings, &settings) == nil && len(settings.Key) > 0 {
		h.SecurityKey = Secret(text(settings.Key))
		h.Raw = bytes.ReplaceAll(raw, settings.Key, []byte(`"`+masked+`"`))
	}
	if len(d.CustomData) > 0 {
		dec := json.NewDecoder(bytes.NewReader(d.CustomData))
		dec.UseNumber()
		if err := dec.Decode(&h.CustomData); err != nil {
			// Kazoo sometimes sends Erlang's empty list for an empty object.
			h.CustomData = nil
		}
	}
	return h, nil
}

// document returns the hook in the form of Kazoo's schema, and registers its secret
// for masking. Format is always sent: some builds crash when they fire a hook
// without one.
func (c *Client) document(h Hook) map[string]any {
	c.secrets.keep(string(h.SecurityKey))
	doc := map[string]any{
		"hook": h.Hook, "name": h.Name, "uri": h.URI, "http_verb": h.Verb, "format": h.Format,
		"retries": max(h.Retries, 0), "include_subaccounts": h.IncludeSubaccounts, "enabled": h.Enabled,
	}
	if h.Format == "" {
		doc["format"] = "form-data"
	}
	if h.Verb == "" {
		doc["http_verb"] = "post"
	}
	if len(h.CustomData) > 0 {
		doc["custom_data"] = h.CustomData
	}
	if h.Version != "" {
		doc["version"] = h.Version
	}
	if h.SecurityKey != "" {
		doc["security_settings"] = map[string]string{"sha256_key": string(h.SecurityKey)}
	}
	if h.InternalLegs != nil {
		doc["include_internal_legs"] = *h.InternalLegs
	}
	return doc
}

// object decodes a JSON object; null or any other value is an error.
func object(raw json.RawMessage, into any) error {
	if t := bytes.TrimSpace(raw); len(t) == 0 || t[0] != '{' {
		return errNotEnvelope
	}
	return json.Unmarshal(raw, into)
}

func integer(raw json.RawMessage, or int) int {
	if f, err := strconv.ParseFloat(text(raw), 64); err == nil && f > -1e9 && f < 1e9 {
		return int(f)
	}
	return or
}

func boolean(raw json.RawMessage, or bool) bool {
	switch strings.ToLower(text(raw)) {
	case "true":
		return true
	case "false":
		return false
	}
	return or
}
