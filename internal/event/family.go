package event

import (
	"bytes"
	"strings"
)

// objectEvent routes doc_created, doc_edited and doc_deleted.
func (s *scan) objectEvent(r *Record, f *facts, action Action) (problem string) {
	var buf [maxName]byte
	typ := s.lower(buf[:0], f.typ)
	id := s.text(f.id)
	switch {
	case id == "":
		return "an object event without the object's id"
	case !isName(typ):
		return "an object event without a usable type"
	}
	name := joinName(typ, action.verb())
	if name == "" {
		return "an object event whose type is too long"
	}
	r.Event = name
	r.Action = action
	r.ObjectType = name[:len(typ)]
	r.ObjectID = id
	if r.ObjectType == "account" && len(f.accountID) == 0 {
		r.AccountID = id // an account's own document
	}
	if action == Edited {
		r.Dedupe = deliveryKey(r)
	} else {
		r.Dedupe = Dedupe{RuleLifecycle, LifecycleKey(r.ObjectType, id)}
	}
	return ""
}

// namedEvent routes the families that their name tells apart: channel_*, PARK_*,
// cdr and stream_*, and an sms or mms. False if the name is of none of them.
func (s *scan) namedEvent(r *Record, f *facts, name []byte) bool {
	if after, ok := bytes.CutPrefix(name, []byte("channel_")); ok {
		return s.call(r, f, joinName("channel", after))
	}
	if after, ok := bytes.CutPrefix(name, []byte("stream_")); ok {
		if event := joinName("stream", after); event != "" {
			r.Event = event
			r.Dedupe = s.contentKey(r, f.streamID, f.timestamp, nil)
			return true
		}
		return false
	}
	switch string(name) {
	case "park_parked":
		return s.call(r, f, "parking.parked")
	case "park_retrieved":
		return s.call(r, f, "parking.retrieved")
	case "park_abandoned":
		return s.call(r, f, "parking.abandoned")
	case "cdr":
		return s.call(r, f, "cdr")
	case "sms", "mms":
		s.textMessage(r, f)
		return true
	}
	return false
}

// call routes an event of a call.
func (s *scan) call(r *Record, f *facts, event string) bool {
	if event == "" {
		return false
	}
	r.Event = event
	r.Dedupe = s.contentKey(r, f.callID, f.timestamp, f.otherLeg)
	return true
}

// textMessage routes an SMS or MMS: the body's type says which, else the path.
func (s *scan) textMessage(r *Record, f *facts) {
	switch {
	case string(f.typ) == "sms", string(f.typ) == "mms":
		r.Event = string(f.typ)
	case strings.EqualFold(r.Hook, "mms"), string(s.top.name) == "mms":
		r.Event = "mms"
	default:
		r.Event = "sms"
	}
	r.ObjectID = s.text(f.id)
	r.Dedupe = textMessageKey(r)
}

// notification routes one of the about 40 kinds of notification.
func (s *scan) notification(r *Record, f *facts, name []byte) (problem string) {
	event := joinName("notification", name)
	if event == "" {
		return "a notification without a usable name"
	}
	r.Event = event
	r.Dedupe = s.notificationKey(r, f.msgID)
	return ""
}

// pathEvent routes by the path where the body names nothing but looks as that
// family does.
func (s *scan) pathEvent(r *Record, f *facts) bool {
	var buf [maxName]byte
	hook := lowerName(buf[:0], r.Hook)
	switch {
	case len(f.callID) > 0 && (bytes.HasPrefix(hook, []byte("channel_")) || string(hook) == "cdr"):
		return s.namedEvent(r, f, hook)
	case len(f.streamID) > 0 && string(hook) == "stream":
		return s.namedEvent(r, f, s.lower(nil, f.typ))
	case isTextHook(r.Hook) && len(f.from) > 0:
		s.textMessage(r, f)
		return true
	}
	return false
}
