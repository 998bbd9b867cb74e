package crossbar

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// OfferedHook is a kind of hook that this cluster can fire.
type OfferedHook struct {
	ID, Name, Description string
	// Modifiers are the keys that custom_data must have, each with the values that
	// Kazoo accepts, sorted; the list is empty if Kazoo names none.
	Modifiers map[string][]string
}

// Offered lists the hooks that the cluster offers. It needs no login
// (kazoo 4.3 applications/crossbar/src/modules/cb_webhooks.erl summary_available).
// Later versions show more to a superadmin, so a token is sent if there is one.
func (c *Client) Offered(ctx context.Context) ([]OfferedHook, error) {
	l := &listing{c: c, req: request{op: opOffered, path: "/webhooks", known: true}, maxItems: c.limits.hooks, key: itemID}
	offered := []OfferedHook{}
	for raw, err := range l.items(ctx) {
		if err != nil {
			return nil, err
		}
		var d struct {
			ID          json.RawMessage            `json:"id"`
			Name        json.RawMessage            `json:"name"`
			Description json.RawMessage            `json:"description"`
			Modifiers   map[string]json.RawMessage `json:"modifiers"`
		}
		// Modifiers of another shape don't prevent decoding the rest.
		_ = json.Unmarshal(raw, &d)
		h := OfferedHook{ID: strings.TrimPrefix(text(d.ID), "webhooks_"), Name: text(d.Name), Description: text(d.Description)}
		if len(d.Modifiers) > 0 {
			h.Modifiers = make(map[string][]string, len(d.Modifiers))
			for key, m := range d.Modifiers {
				h.Modifiers[key] = modifierValues(m)
			}
		}
		offered = append(offered, h)
	}
	return offered, nil
}

// modifierValues returns the allowed values of a modifier: a list of strings, or
// the keys of an object, directly or under "items".
func modifierValues(raw json.RawMessage) []string {
	var m struct {
		Items json.RawMessage `json:"items"`
		Enum  json.RawMessage `json:"enum"`
	}
	if json.Unmarshal(raw, &m) == nil {
		if m.Items == nil {
			m.Items = m.Enum
		}
		if m.Items != nil {
			raw = m.Items
		}
	}
	values := []string{}
	var list []json.RawMessage
	var keyed map[string]json.RawMessage
	switch {
	case json.Unmarshal(raw, &list) == nil:
		for _, item := range list {
			if v := itemName(item); v != "" {
				values = append(values, v)
			}
		}
	case json.Unmarshal(raw, &keyed) == nil:
		// JSON schema puts an enum inside items.
		if inner, ok := keyed["enum"]; ok {
			return modifierValues(inner)
		}
		values = slices.AppendSeq(values, maps.Keys(keyed))
	default:
		if v := text(raw); v != "" {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	return slices.Compact(slices.DeleteFunc(values, func(v string) bool { return v == "" }))
}

// itemName returns the value of a list's item.
func itemName(raw json.RawMessage) string {
	var named map[string]json.RawMessage
	if json.Unmarshal(raw, &named) != nil {
		return text(raw)
	}
	for _, key := range []string{"id", "value", "name"} {
		if v := text(named[key]); v != "" {
			return v
		}
	}
	return ""
}

// Samples fetches the cluster's sample payloads, by sample id. It needs no login.
func (c *Client) Samples(ctx context.Context) (map[string][]json.RawMessage, error) {
	env, err := c.call(ctx, request{op: opSamples, method: http.MethodGet, path: "/webhooks/samples", list: true})
	if err != nil {
		return nil, err
	}
	if most := c.limits.samples; len(env.Items) > most {
		return nil, &LimitError{Op: opSamples, What: "items", Limit: fmt.Sprintf("%d items", most), Pages: 1, Items: len(env.Items), Bytes: env.size}
	}
	samples := map[string][]json.RawMessage{}
	for _, item := range env.Items {
		id := itemName(item)
		path, err := resource("webhooks", "samples", id)
		if err != nil {
			continue
		}
		one, err := c.call(ctx, request{op: opSamples, method: http.MethodGet, path: path, list: true})
		switch {
		case IsNotFound(err):
			continue
		case err != nil:
			return nil, err
		case one.isList:
			samples[id] = one.Items
		case len(one.Data) > 0:
			samples[id] = []json.RawMessage{one.Data}
		}
	}
	return samples, nil
}
