package endurance

import (
	"bytes"
	"encoding/json"
	"net/url"

	"kazoohook/internal/crossbar/crossbartest"
)

// identity tells one event from all others in Kazoo's own terms: the hook, the
// id of what it is about, and what happened to it. It is read from the body that
// Kazoo sent and from the line that the receiver printed, which must agree.
type identity struct{ hook, id, what string }

// fired is the identity of what Kazoo sent.
func fired(f crossbartest.Firing) (identity, error) {
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

// line is one event as the log tells it.
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

// text is a JSON string's content, or anything else as it stands.
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

// isEvent tells an event's line from others, which have no such field. It comes
// among the first ones, so that the whole need not be parsed to know.
func isEvent(raw []byte) bool {
	return bytes.Contains(raw[:min(len(raw), 200)], []byte(`"event":"`))
}
