package delivery

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"kazoohook/internal/event"
)

// envelope is a CloudEvent in structured mode, as JSON.
type envelope struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject,omitempty"`
	Time            string          `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Sequence        string          `json:"sequence"`
	PartitionKey    string          `json:"partitionkey,omitempty"`
	Data            json.RawMessage `json:"data"`
}

// cloudEvent wraps an event's JSON. Sequence is padded with zeros, because the
// extension's values are sorted as texts.
func cloudEvent(e *event.Event, key, prefix string, line []byte) []byte {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(envelope{ // can't fail: strings, and JSON that zerolog wrote
		SpecVersion: "1.0", ID: e.ID, Source: source(e), Type: prefix + e.Event, Subject: subject(e, key),
		Time: e.ReceivedAt.UTC().Format(time.RFC3339Nano), DataContentType: "application/json",
		Sequence: fmt.Sprintf("%019d", e.Seq), PartitionKey: attribute(key), Data: line,
	})
	return []byte(strings.TrimSuffix(out.String(), "\n"))
}

// source is made of Kazoo's cluster, if the event names it, and of the account.
func source(e *event.Event) string {
	s := "/kazoo"
	if e.ClusterID != "" {
		s += "/clusters/" + url.PathEscape(e.ClusterID)
	}
	if e.AccountID != "" {
		s += "/accounts/" + url.PathEscape(e.AccountID)
	}
	return s
}

// subject is the type and id of the object, call or message that the event is about.
func subject(e *event.Event, key string) string {
	kind, _, _ := strings.Cut(key, "/")
	switch {
	case e.ObjectID == "":
		return ""
	case e.ObjectType != "":
		kind = e.ObjectType
	}
	return attribute(kind + "/" + e.ObjectID)
}

// attribute replaces the characters that CloudEvents forbids in attributes.
func attribute(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r&0xfffe == 0xfffe || 0xfdd0 <= r && r <= 0xfdef {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}
