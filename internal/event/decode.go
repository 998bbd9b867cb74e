package event

import (
	"encoding/json"
	"reflect"
	"strings"
)

// types knows how every payload looks on the wire.
var types = newShapes()

// Decode gives the typed form of a record. It never fails: what did not fit is
// listed in Problems, and a body that can't be taken apart gives a nil Payload and
// no Data.
func Decode(r Record) Event { return decode(r, true) }

// Describe is Decode without Payload and Envelope: all that a log line, the API or the stream
// shows, for a fraction of the time, most of which gorilla/schema takes.
func Describe(r Record) Event {
	return decode(r, false)
}

func decode(r Record, withPayload bool) Event {
	e := Event{Record: r}
	var p problems
	if r.Problem != "" {
		p.add("%s", r.Problem)
	}
	body, ok := parseBody(r, &p)
	if ok {
		e.read(body, &p, withPayload)
	}
	e.Problems = p.all()
	return e
}

// parseBody takes a body apart, nested as it was meant.
func parseBody(r Record, p *problems) (map[string]any, bool) {
	if isJSON(r.ContentType, r.Body) {
		c := members{buf: r.Body}
		if !json.Valid(r.Body) || !c.open() {
			if r.Problem == "" {
				p.add("the body is not a JSON object")
			}
			return nil, false
		}
		return jsonTree{p}.object(r.Body, 1), true
	}
	pairs, rest := splitForm(r.Body)
	t := newTree(len(pairs), p)
	for _, pair := range pairs {
		t.add(pair)
	}
	if len(rest) > 0 {
		p.add("more than %d pairs: the others are kept as they were sent", MaxPairs)
		t.add(Pair{Key: "_rest", Value: string(maskForm(nil, rest))})
	}
	return t.object(), true
}

// read sets what the body tells.
func (e *Event) read(body map[string]any, p *problems, withPayload bool) {
	data, envelope := openEnvelope(body)
	if envelope != nil {
		if withPayload {
			e.Envelope = &Envelope{}
		}
		types.fill(e.Envelope, envelope, p, withPayload)
		e.lift(envelope)
	}
	if payload := e.payload(); payload != nil {
		if withPayload {
			payload = reflect.New(reflect.TypeOf(payload).Elem()).Interface()
			e.Payload = payload
		}
		types.fill(payload, data, p, withPayload)
	}
	e.lift(data)
	maskObject(data)
	if e.Action != "" && e.ObjectName == "" {
		e.ObjectName = displayName(data)
	}
	if call, ok := e.Payload.(interface{ call() *Call }); ok {
		call.call().ApplicationVars, _ = data["custom_application_vars"].(map[string]any)
	}
	if envelope != nil {
		maskObject(envelope)
		closeEnvelope(data, envelope)
	}
	e.Data = data
}

// payload is a nil pointer of the type of the event's payload, nil for an unknown
// event.
func (e *Event) payload() any {
	if e.Action != "" {
		return (*Object)(nil)
	}
	family, rest, _ := strings.Cut(e.Event, ".")
	switch family {
	case "channel":
		return (*Channel)(nil)
	case "parking":
		return (*Parking)(nil)
	case "notification":
		return notification(rest)
	case "sms", "mms":
		return (*TextMessage)(nil)
	case "cdr":
		return (*CDR)(nil)
	case "stream":
		return (*Stream)(nil)
	}
	return nil
}

func (c *Call) call() *Call { return c }

// lift takes what is a log field of its own out of the data, where it says the
// same.
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
