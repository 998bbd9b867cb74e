package event

import (
	"encoding/json"
	"reflect"
)

// Decode returns the typed form of a record. gorilla/schema decodes a form into the
// family's struct and encoding/json decodes JSON into the same struct; Data is made
// from it. It never fails: values that don't fit are in Data unchanged and are
// listed in Problems. A body that can't be parsed has no Data.
func Decode(r Record) Event {
	e := Event{Record: r}
	var p problems
	if r.Problem != "" {
		p.add("%s", r.Problem)
	}
	if body := content(r.Body); isJSON(r.ContentType, body) {
		e.decodeJSON(body, &p)
	} else {
		e.decodeForm(body, &p)
	}
	e.Problems = p.all()
	e.know()
	return e
}

// know adds to an object event what the journal knew of the object and Kazoo did
// not send.
func (e *Event) know() {
	if e.Action == "" {
		return
	}
	if e.ObjectName == "" {
		e.ObjectName = e.Known.Name
	}
	for field, value := range e.Known.Fields {
		if _, sent := e.Data[field]; sent {
			continue
		}
		if e.Data == nil {
			e.Data = map[string]any{}
		}
		e.Data[field] = value
	}
}

// decodeJSON decodes a JSON body.
func (e *Event) decodeJSON(body []byte, p *problems) {
	c := members{buf: body}
	if !json.Valid(body) || !c.open() {
		if e.Problem == "" {
			p.add("the body is not a JSON object")
		}
		return
	}
	d := newDecoding(planned.planOf(e), p)
	data, enveloped := openEnvelope(body)
	if !enveloped {
		d.rest = d.object(body, d.plan.root, 1)
		e.finish(d, nil)
		return
	}
	around := newDecoding(planned.envelope, p)
	around.enveloped = true
	around.rest = around.object(body, around.plan.root, 1)
	if data != nil {
		d.rest = d.object(data, d.plan.root, 2)
	}
	e.finish(d, around)
}

// decodeForm decodes a form or query.
func (e *Event) decodeForm(body []byte, p *problems) {
	pairs, beyond := splitForm(body)
	d := newDecoding(planned.planOf(e), p)
	var around *decoding
	if isEnvelope(pairs) {
		around = newDecoding(planned.envelope, p)
	}
	unfold(pairs, d, around)
	if len(beyond) > 0 {
		p.add("more than %d pairs: the others are kept as they were sent", MaxPairs)
		outer := d
		if around != nil {
			outer = around
		}
		outer.insert(outer.rest, "_rest", string(maskForm(nil, beyond)))
	}
	e.finish(d, around)
}

// finish sets Payload, Envelope and Data.
func (e *Event) finish(d, around *decoding) {
	var envelope map[string]any
	if around != nil {
		e.Envelope = &Envelope{}
		e.lift(around.rest)
		envelope = around.finish(reflect.ValueOf(e.Envelope).Elem())
	}
	var payload reflect.Value
	if d.plan != planned.empty {
		pointer := reflect.New(d.plan.typ)
		e.Payload, payload = pointer.Interface(), pointer.Elem()
	}
	e.lift(d.rest)
	e.Data = d.finish(payload)
	if e.Action != "" && e.ObjectName == "" {
		e.ObjectName = displayName(e.Data)
	}
	if around != nil {
		closeEnvelope(e.Data, envelope)
	}
}

// lift removes values from the data that are fields of the event, if they are
// equal.
func (e *Event) lift(data map[string]any) {
	if id, ok := data["cluster_id"].(string); ok {
		e.ClusterID = id
		delete(data, "cluster_id")
	}
	drop := func(key, value string) {
		if data[key] == value {
			delete(data, key)
		}
	}
	drop("account_id", e.AccountID)
	if e.Source == SourceReceiver {
		drop("event", e.Event)
	}
	if e.Action == "" {
		return
	}
	drop("action", string(e.Action))
	drop("type", e.ObjectType)
	drop("id", e.ObjectID)
	if name, ok := data["object_name"].(string); ok {
		e.ObjectName = name
		delete(data, "object_name")
	}
}

// closeEnvelope adds the rest of the envelope to the data.
func closeEnvelope(data, envelope map[string]any) {
	key := "envelope"
	for {
		if _, taken := data[key]; !taken {
			break
		}
		key = "_" + key
	}
	data[key] = envelope
}
