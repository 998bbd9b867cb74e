package event

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Route derives the few fields that name the event, its account, object and
// dedupe key. It is one pass over the raw body and never fails: what is not
// understood is Event "unknown" with a Problem. What the body says wins over the
// hook's path segment.
func Route(d Delivery) Record {
	r := Record{Delivery: d, Event: Unknown}
	var s scan
	r.Problem = s.route(&r)
	if r.Problem != "" {
		r.Event = Unknown
		r.Action, r.ObjectType = "", ""
		if r.AccountID == "" {
			r.AccountID = r.HookAccountID
		}
		r.Dedupe = deliveryKey(&r)
	}
	return r
}

// route fills in what the body and path tell; the result says why that is not
// enough.
func (s *scan) route(r *Record) (problem string) {
	if isJSON(r.ContentType, r.Body) {
		if !s.object(r.Body) {
			return "the body is not a JSON object"
		}
	} else {
		s.form(r.Body)
	}
	if string(s.top.action) == "event" && len(s.top.name) > 0 {
		return s.envelope(r)
	}
	return s.flat(r)
}

// isJSON tells a JSON body from a form. The content type is believed; a body that
// is an object is JSON whatever its type says, since no key of a form starts with
// a brace.
func isJSON(contentType string, body []byte) bool {
	const formType, jsonType = "application/x-www-form-urlencoded", "application/json"
	if contentType != formType {
		mime, _, _ := strings.Cut(contentType, ";")
		if strings.EqualFold(strings.TrimSpace(mime), jsonType) {
			return true
		}
	}
	for i, c := range body {
		if !isSpace(c) {
			return c == '{' && json.Valid(body[i:])
		}
	}
	return false
}

// envelope routes Kazoo 5's version 2, whose name says what "data" is. Version 5
// sends account deletions in it even to version 1 hooks, without account_id
// (kazoo 5 applications/webhooks/src/webhooks_util.erl).
func (s *scan) envelope(r *Record) (problem string) {
	f := &s.data
	var buf [maxName]byte
	name := s.lower(buf[:0], s.top.name)
	s.identify(r, f)
	action := actionOf(name)
	switch {
	case action != "":
		problem = s.objectEvent(r, f, action)
	case s.namedEvent(r, f, name), s.pathEvent(r, f):
	case isNotificationHook(r.Hook), len(f.category) > 0:
		problem = s.notification(r, f, name)
	default:
		return "the version 2 envelope names no known event"
	}
	if r.Dedupe.Rule == RuleUnacknowledged {
		r.Dedupe = envelopeKey(r)
	}
	return problem
}

// flat routes version 1. The order matters where a hook's custom_data overrides
// fields of the event (4.3 merges even "type" and "action" over it): the fields
// that only one family has decide first.
func (s *scan) flat(r *Record) (problem string) {
	f := &s.top
	s.identify(r, f)
	var eventBuf, hookBuf [maxName]byte
	eventName := s.lower(eventBuf[:0], f.eventName)
	hookEvent := s.lower(hookBuf[:0], f.hookEvent)
	action := actionOf(f.action)
	switch {
	case len(eventName) > 0 && string(f.category) == "notification":
		return s.notification(r, f, eventName)
	case isTextHook(r.Hook) && len(f.from) > 0 && len(f.to) > 0:
		s.textMessage(r, f)
	case len(f.callID) > 0 && s.namedEvent(r, f, hookEvent):
	case action != "" && len(f.id) > 0:
		return s.objectEvent(r, f, action)
	case s.namedEvent(r, f, eventName):
	case len(eventName) > 0 && (isNotificationHook(r.Hook) || string(hookEvent) == "notifications"):
		return s.notification(r, f, eventName)
	case s.namedEvent(r, f, hookEvent):
	case action != "":
		return "an object event without the object's id"
	case len(f.from) > 0 && len(f.to) > 0 && (string(f.typ) == "sms" || string(f.typ) == "mms"):
		s.textMessage(r, f)
	case s.pathEvent(r, f):
	case len(bytes.TrimSpace(r.Body)) == 0:
		return "the body is empty"
	default:
		return "nothing in the body or path names a known event"
	}
	return ""
}

// identify fills in the account, and the call id as the object of everything but
// object events.
func (s *scan) identify(r *Record, f *facts) {
	r.AccountID = s.text(f.accountID)
	if r.AccountID == "" {
		r.AccountID = s.text(f.channelAccountID)
	}
	if r.AccountID == "" {
		r.AccountID = r.HookAccountID
	}
	r.ObjectID = s.text(f.callID)
}
