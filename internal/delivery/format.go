package delivery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"kazoohook/internal/event"
)

// ErrTemplate says that a template fails for an event. No later attempt can succeed, so the
// event becomes a dead letter at once.
var ErrTemplate = errors.New("the template fails for this event")

// Message makes an event's message, in the destination's format. The event must be as
// it was applied, with the names that the journal knew then and nothing that was looked
// up later. So the same event gives the same bytes at every attempt. The error is an
// ErrTemplate.
func (d *Destination) Message(e *event.Event) (*Message, error) {
	line := e.AppendJSON(make([]byte, 0, len(e.Body)+512))
	m := &Message{
		EventID: e.ID, Seq: e.Seq, Event: e.Event, Account: e.AccountID, Object: e.ObjectID, Key: e.OrderingKey(),
		Received: e.ReceivedAt, Body: line, ContentType: "application/json",
	}
	if d.body != nil || d.route != nil {
		fields, err := fieldsOf(e)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrTemplate, err)
		}
		m.Fields = fields
	}
	if d.route != nil {
		to, err := d.route.of(m.Fields)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrTemplate, d.route.place, err)
		}
		m.Route = to
	}
	switch d.Format {
	case FormatCloudEvents:
		m.Body, m.ContentType = cloudEvent(e, m.Key, d.TypePrefix, line), "application/cloudevents+json"
	case FormatTemplate:
		body, err := d.body.render(m.Fields)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrTemplate, err)
		}
		m.Body = body
		if !json.Valid(body) {
			m.ContentType = "text/plain; charset=utf-8"
		}
	}
	return m, nil
}

// fieldsOf returns the fields of an event's JSON. Numbers are int or float64; a number
// that fits neither stays a json.Number.
func fieldsOf(e *event.Event) (map[string]any, error) {
	head := *e
	head.Data = nil // often large, and already in the form that JSON would give
	var fields map[string]any
	in := json.NewDecoder(bytes.NewReader(head.AppendJSON(nil)))
	in.UseNumber()
	if err := in.Decode(&fields); err != nil {
		return nil, fmt.Errorf("the event is not a JSON object: %w", err)
	}
	for key, v := range fields {
		fields[key] = plain(v)
	}
	if len(e.Data) > 0 {
		fields["data"] = plain(e.Data)
	}
	return fields, nil
}

// plain returns a copy of a value, with numbers that can be compared.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		return plainNumber(v)
	case string:
		return strings.ToValidUTF8(v, "\ufffd")
	case map[string]any:
		m := make(map[string]any, len(v))
		for key, item := range v {
			m[strings.ToValidUTF8(key, "\ufffd")] = plain(item)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = plain(item)
		}
		return list
	}
	return v
}

func plainNumber(n json.Number) any {
	if i, err := strconv.Atoi(string(n)); err == nil {
		return i
	}
	if f, err := n.Float64(); err == nil && strings.ContainsAny(string(n), ".eE") {
		return f
	}
	return n
}
