package event

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Route finds the event's name, account, object and identity by the table of
// families. It takes one pass over the raw body and never fails: a request that is
// not understood becomes "unknown" with a Problem. The body takes precedence over
// the hook's path segment.
func Route(d Request) Record {
	r := Record{Request: d, Event: Unknown}
	if d.Source == SourceReceiver {
		r.Problem = r.own()
	} else {
		var s scan
		r.Problem = s.route(&r)
	}
	if r.Problem != "" {
		r.Event = Unknown
		r.Action, r.ObjectType = "", ""
		if r.AccountID == "" {
			r.AccountID = r.HookAccountID
		}
		r.Dedupe = requestKey(&r)
	}
	return r
}

// route sets the fields from body and path; the result is the reason if they are
// not enough.
func (s *scan) route(r *Record) (problem string) {
	body := content(r.Body)
	if isJSON(r.ContentType, body) {
		if !s.object(body) {
			return "the body is not a JSON object"
		}
	} else {
		s.form(body)
	}
	if s.enveloped() {
		return s.envelope(r)
	}
	return s.flat(r)
}

// enveloped reports whether the body is of version 2.
func (s *scan) enveloped() bool {
	return string(s.top[factAction]) == "event" && len(s.top[factName]) > 0
}

// content returns a body without what editors and proxies add: a byte order mark
// before it and line ends after it. Kazoo escapes both in values.
func content(body []byte) []byte {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	for len(body) > 0 && (body[len(body)-1] == '\n' || body[len(body)-1] == '\r') {
		body = body[:len(body)-1]
	}
	return body
}

// isJSON distinguishes a JSON body from a form. A body that is an object is JSON
// whatever its content type, because no key of a form starts with a brace. For any
// other body the content type decides, except that pairs which can't be JSON are a
// form.
func isJSON(contentType string, body []byte) bool {
	const formType, jsonType = "application/x-www-form-urlencoded", "application/json"
	if contentType != formType {
		mime, _, _ := strings.Cut(contentType, ";")
		if strings.EqualFold(strings.TrimSpace(mime), jsonType) {
			return bytes.IndexByte(body, '=') < 0 || bytes.ContainsAny(body, `{"`)
		}
	}
	for i, c := range body {
		if !isSpace(c) {
			return c == '{' && json.Valid(body[i:])
		}
	}
	return false
}

// envelope routes Kazoo 5's version 2, whose name tells the kind of "data". Version
// 5 sends account deletions in it even to version 1 hooks, without account_id
// (kazoo 5 applications/webhooks/src/webhooks_util.erl).
func (s *scan) envelope(r *Record) (problem string) {
	f := &s.data
	var buf [maxName]byte
	name := s.lower(buf[:0], s.top[factName])
	s.locate(r, f)
	action := actionOf(name)
	switch {
	case action != "":
		problem = s.objectEvent(r, f, action)
	case s.named(r, f, name), s.byPath(r, f):
	case isNotificationHook(r.Hook), len(f[factCategory]) > 0:
		problem = s.notification(r, f, name)
	case s.otherHook(r, nil):
		return ""
	default:
		return "the version 2 envelope names no known event"
	}
	if r.Dedupe.Rule == RuleUnacknowledged {
		r.Dedupe = envelopeKey(r)
	}
	return problem
}

// flat routes version 1. The order matters if a hook's custom_data overrides fields
// of the event (4.3 merges even "type" and "action" into it): fields that only one
// family has decide first.
func (s *scan) flat(r *Record) (problem string) {
	f := &s.top
	s.locate(r, f)
	var eventBuf, hookBuf [maxName]byte
	eventName := s.lower(eventBuf[:0], f[factEventName])
	hookEvent := s.lower(hookBuf[:0], f[factHookEvent])
	action := actionOf(f[factAction])
	parties := len(f[factFrom]) > 0 && len(f[factTo]) > 0
	switch {
	case len(eventName) > 0 && string(f[factCategory]) == "notification":
		return s.notification(r, f, eventName)
	case isTextHook(r.Hook) && parties:
		s.textMessage(r, f)
	case len(f[factCallID]) > 0 && s.named(r, f, hookEvent):
	case action != "" && len(f[factID]) > 0:
		return s.objectEvent(r, f, action)
	case s.named(r, f, eventName):
	case len(eventName) > 0 && (isNotificationHook(r.Hook) || string(hookEvent) == "notifications"):
		return s.notification(r, f, eventName)
	case s.named(r, f, hookEvent):
	case action != "":
		return "an object event without the object's id"
	case parties && (string(f[factType]) == "sms" || string(f[factType]) == "mms"):
		s.textMessage(r, f)
	case s.byPath(r, f), s.otherHook(r, hookEvent):
	case len(bytes.TrimSpace(r.Body)) == 0:
		return "the body is empty"
	default:
		return "nothing in the body or path names a known event"
	}
	return ""
}

// locate sets the account, and the call id as ObjectID; object events replace it.
func (s *scan) locate(r *Record, f *facts) {
	r.AccountID = s.text(f[factAccountID])
	if r.AccountID == "" {
		r.AccountID = s.text(f[factChannelAccount])
	}
	if r.AccountID == "" {
		r.AccountID = r.HookAccountID
	}
	r.ObjectID = s.text(f[factCallID])
}
