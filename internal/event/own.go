package event

import (
	"encoding/json"
	"reflect"
	"strings"
)

// Own is something that happened to the receiver itself. It becomes an event of the
// family kazoohook.
type Own struct {
	// Payload is a pointer to one of the family's structs. It decides the event.
	Payload any
	Account string // the account it happened in; "": none
	Object  string // id of the object that it is about; "": none
	// Happening identifies what happened: a second event of the same name and
	// Object with the same Happening is a duplicate. "" has no duplicates.
	Happening string
}

// ownFamily is the first part of the names of our own events. No request from
// outside can get such a name.
const ownFamily = "kazoohook"

// IsOwn reports whether an event is one of the receiver's own.
func IsOwn(event string) bool { return strings.HasPrefix(event, ownFamily+".") }

// Record returns the event for the journal, which gives it its number, id and time.
// The body holds all that Route needs.
func (o Own) Record() Record {
	body := map[string]any{}
	if raw, err := json.Marshal(o.Payload); err == nil {
		_ = json.Unmarshal(raw, &body) // marshalled from a struct
	}
	for key, value := range body {
		if value == nil {
			delete(body, key)
		}
	}
	body["event"] = ownName(o.Payload)
	if o.Account != "" {
		body["account_id"] = o.Account
	}
	if o.Object != "" {
		body["object_id"] = o.Object
	}
	raw, _ := json.Marshal(body) // texts, numbers and lists
	r := Route(Request{Source: SourceReceiver, ContentType: "application/json", Body: raw})
	if o.Happening != "" {
		k := newKey(r.Event)
		k.add(o.Happening)
		k.add(o.Object)
		r.Dedupe = Dedupe{RuleContent, k.sum()}
	}
	return r
}

// ownName returns the name of the event with a payload.
func ownName(payload any) string {
	for i := range owns.kinds {
		if reflect.TypeOf(payload) == reflect.PointerTo(reflect.TypeOf(owns.kinds[i].payload)) {
			return owns.event(owns.kinds[i].name)
		}
	}
	return Unknown
}

// own routes an event of our own.
func (r *Record) own() (problem string) {
	var body struct {
		Event   string `json:"event"`
		Account string `json:"account_id"`
		Object  string `json:"object_id"`
	}
	if err := json.Unmarshal(r.Body, &body); err != nil || !IsOwn(body.Event) || !isName(body.Event) {
		return "not an event of the receiver's own"
	}
	r.Event, r.AccountID, r.ObjectID = body.Event, body.Account, body.Object
	r.Dedupe = requestKey(r)
	return ""
}
