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
	Retries            int    // 0 to 4; -1 where Kazoo tells none
	CustomData         map[string]any
	IncludeSubaccounts bool
	Enabled            bool
	DisableReason      string // Kazoo's, where it switched the hook off
	Version            string // "v1", "v2"; empty on Kazoo 4
	Raw                json.RawMessage
}

// HookSummary is what a listing tells of a hook.
type HookSummary struct {
	ID, Hook, Name string
	URI            string // holds our secret segment: not for logs
	Group          string
	Enabled        bool
	DisableReason  string
}

// hookDoc is a hook as the API gives it; Kazoo is not strict about types.
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
}

// Hooks lists the hooks of an account, all pages.
func (c *Client) Hooks(ctx context.Context, account string) ([]HookSummary, error) {
	path, err := resource("accounts", account, "webhooks")
	if err != nil {
		return nil, err
	}
	l := &listing{c: c, req: request{op: opHooksList, path: path, auth: true}, key: itemID}
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

// CreateHook registers a hook. Kazoo does not check for uniqueness, so this is
// not repeated where the first request may have been processed: the error is
// then ErrAmbiguous, and the caller must list the hooks before trying again.
func (c *Client) CreateHook(ctx context.Context, account string, h Hook) (Hook, error) {
	path, err := resource("accounts", account, "webhooks")
	if err != nil {
		return Hook{}, err
	}
	made, err := c.hookAt(ctx, request{op: opHooksCreate, method: http.MethodPut, path: path, body: h.document(), once: true})
	if err == nil && made.ID == "" {
		e := c.malformed(opHooksCreate, http.MethodPut, path, &envelope{}, "the created hook has no id")
		e.ambiguous = true
		return Hook{}, e
	}
	return made, err
}

// ReplaceHook sets all settings of the hook h.ID.
func (c *Client) ReplaceHook(ctx context.Context, account string, h Hook) (Hook, error) {
	return c.hookCall(ctx, request{op: opHooksSet, method: http.MethodPost, body: h.document()}, account, h.ID)
}

// EnableHook switches a hook on again, which also clears Kazoo's disable reason
// and its count of failures.
func (c *Client) EnableHook(ctx context.Context, account, id string) error {
	_, err := c.hookCall(ctx, request{op: opHooksEnable, method: http.MethodPatch, body: map[string]any{"enabled": true}}, account, id)
	return err
}

// DeleteHook removes a hook. One that does not exist (any more) is a success.
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
	if len(d.CustomData) > 0 {
		dec := json.NewDecoder(bytes.NewReader(d.CustomData))
		dec.UseNumber()
		if err := dec.Decode(&h.CustomData); err != nil {
			// Erlang's empty list stands for an empty object here and there.
			h.CustomData = nil
		}
	}
	return h, nil
}

// document gives the hook as Kazoo's schema takes it. Format is always sent:
// Kazoo's HEAD crashes firing a hook that has none.
func (h Hook) document() map[string]any {
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
	return doc
}

// object decodes a JSON object; null and everything else is an error.
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
