package endurance

import (
	"bytes"
	"encoding/json"
	"net/url"

	"kazoohook/internal/fakekazoo"
)

// identity identifies an event in Kazoo's own terms: the hook, the id of the object,
// and what happened to it. It is read from the body that Kazoo sent and from the line
// that the receiver printed, which must agree.
type identity struct{ hook, id, what string }

// fired is the identity of an event that Kazoo sent, as a form or as JSON.
func fired(f fakekazoo.Firing) (identity, error) {
	if bytes.HasPrefix(bytes.TrimSpace(f.Body), []byte("{")) {
		var v map[string]json.RawMessage
		err := json.Unmarshal(f.Body, &v)
		return identityOf(f.Hook, func(key string) string { return text(v[key]) }), err
	}
	v, err := url.ParseQuery(string(f.Body))
	return identityOf(f.Hook, v.Get), err
}

func identityOf(hook string, get func(string) string) identity {
	return identity{
		hook: hook,
		id:   first(get("msg_id"), get("call_id"), get("id")),
		what: first(get("action"), get("hook_event"), get("event_name")),
	}
}

// unique reports that a second request with the same content is certainly a
// duplicate. An edit, or a request without an id, may be sent twice on purpose.
func (id identity) unique() bool {
	return id.what != "doc_edited" && id.id != ""
}

// line is an event's log line.
type line struct {
	Event    string `json:"event"`
	ID       string `json:"event_id"`
	Seq      int64  `json:"seq"`
	Source   string `json:"source"`
	Hook     string `json:"hook"`
	Action   string `json:"action"`
	ObjectID string `json:"object_id"`
	Data     struct {
		MsgID     json.RawMessage `json:"msg_id"`
		CallID    json.RawMessage `json:"call_id"`
		ID        json.RawMessage `json:"id"`
		HookEvent json.RawMessage `json:"hook_event"`
		EventName json.RawMessage `json:"event_name"`
	} `json:"data"`
}

func (l *line) identity() identity {
	return identityOf(l.Hook, func(key string) string {
		switch key {
		case "msg_id":
			return text(l.Data.MsgID)
		case "call_id":
			return text(l.Data.CallID)
		case "id":
			return first(l.ObjectID, text(l.Data.ID))
		case "action":
			return l.Action
		case "hook_event":
			return text(l.Data.HookEvent)
		default:
			return text(l.Data.EventName)
		}
	})
}

// text is the content of a JSON string, or other JSON unchanged.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return string(raw)
	}
	return s
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// isEvent reports whether a line is an event's. Only these have the field "event", and
// near the beginning, so the line need not be parsed.
func isEvent(raw []byte) bool {
	return bytes.Contains(raw[:min(len(raw), 200)], []byte(`"event":"`))
}
