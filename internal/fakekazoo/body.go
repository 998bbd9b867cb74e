package fakekazoo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// envelope makes the object that a hook sends for an event, in version 1 or 2, with
// the hook's custom_data merged over it.
func (k *Kazoo) envelope(h hook, ev event) *jobj {
	if k.version == version5 && (ev.forceV2 || h.version() == "v2") {
		return k.envelopeV2(h, ev)
	}
	body := ev.body.clone()
	if k.version == version5 {
		// HEAD sets cluster_id first, so custom_data may override it.
		body.set("cluster_id", k.opt.ClusterID)
		mergeCustom(body, h.customData(), k.version)
		return body
	}
	mergeCustom(body, h.customData(), k.version)
	return body.set("cluster_id", k.opt.ClusterID)
}

func (k *Kazoo) envelopeV2(h hook, ev event) *jobj {
	data, name := ev.data, ev.name
	if data == nil {
		data = ev.body.clone()
	}
	now := k.clock.seconds()
	body := obj("action", "event", "name", name, "data", data, "timestamp", now)
	if key := h.doc.obj("security_settings").str("sha256_key"); key != "" {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write(appendJSON(strconv.AppendInt(nil, now, 10), data, jsonCanonical))
		body.set("hmac", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	// custom_data is merged after the HMAC was computed and may break it.
	mergeCustom(body, h.customData(), k.version)
	return body
}

// mergeCustom merges a hook's custom_data over the top level. An existing key keeps its
// place and gets the new value, and a null removes it. New keys come last, in the
// reverse of custom_data's order (kazoo core/kazoo_stdlib/src/kz_json.erl merge_jobjs).
// HEAD leaves out custom_data's type and action.
func mergeCustom(body, custom *jobj, v version) {
	if custom == nil {
		return
	}
	for _, f := range slices.Backward(custom.fields) {
		switch {
		case v == version5 && (f.key == "type" || f.key == "action"):
		case f.val == nil:
			body.del(f.key)
		default:
			body.set(f.key, f.val)
		}
	}
}

// payload is the content of one firing.
type payload struct {
	method      string
	contentType string
	query       string // for a GET
	body        []byte
	stored      any // the body as an attempt records it
}

// payload encodes an envelope in the hook's format. errEncoderCrash means that
// nothing can be sent.
func (k *Kazoo) payload(h hook, body *jobj) (payload, error) {
	enc := encoderFor(k.version)
	if h.verb() == "get" {
		io, err := enc.encode(body)
		return payload{method: "GET", query: string(flatten(nil, io)), stored: ""}, err
	}
	p := payload{method: strings.ToUpper(h.verb())}
	switch h.format() {
	default:
		io, err := enc.encode(body)
		if err != nil {
			return p, err
		}
		p.contentType = "application/x-www-form-urlencoded"
		p.body, p.stored = flatten(nil, io), io
	case "json":
		style := jsonPretty
		if k.version == version5 {
			style = jsonCanonical
		}
		p.contentType = "application/json"
		p.body = appendJSON(nil, body, style)
		p.stored = string(p.body)
	}
	return p, nil
}
