package trial

import (
	"encoding/json"
	"time"
)

// Event is one event of the log or the journal.
type Event struct {
	Event      string    `json:"event"`
	ID         string    `json:"event_id"`
	Seq        int64     `json:"seq"`
	Source     string    `json:"source"`
	Journal    string    `json:"journal"`
	ReceivedAt time.Time `json:"received_at"`
	ObjectID   string    `json:"object_id"`
	Verified   *bool     `json:"verified"` // whether Kazoo's signature is right; nil: there is none
	content    string
	seen       time.Time // when the line came; zero if read from the journal
}

// Content is all of the event except what may differ when it is read later: the names
// that the snapshot adds, and the journal's name after a restore.
func (e Event) Content() string { return e.content }

// ParseEvent reads one event.
func ParseEvent(line []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return e, err
	}
	var all map[string]any
	if err := json.Unmarshal(line, &all); err != nil {
		return e, err
	}
	for _, k := range []string{"time", "level", "message", "object_name", "journal"} {
		delete(all, k)
	}
	if data, ok := all["data"].(map[string]any); ok {
		for _, k := range []string{"username", "email", "first_name", "last_name", "realm"} {
			delete(data, k)
		}
		if len(data) == 0 {
			delete(all, "data")
		}
	}
	raw, err := json.Marshal(all)
	e.content = string(raw)
	return e, err
}
