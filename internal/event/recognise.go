package event

import (
	"bytes"
	"strings"
)

// is makes the record an event of a family.
func (s *scan) is(r *Record, f *facts, row *family, event string) {
	r.Event = event
	if row.object != noFact && row.object != factCallID {
		r.ObjectID = s.text(f[row.object])
	}
	s.identify(r, f, &row.identity)
}

// named routes an event by its name. False if it is of no family.
func (s *scan) named(r *Record, f *facts, name []byte) bool {
	if len(name) == 0 {
		return false
	}
	for _, row := range families {
		if row.prefix != "" && hasPrefix(name, row.prefix) {
			event := joinName(row.name, name[len(row.prefix):])
			if event == "" {
				return false
			}
			s.is(r, f, row, event)
			return true
		}
		for i := range row.names {
			if row.names[i][0] != string(name) {
				continue
			}
			if row == texts {
				s.textMessage(r, f)
			} else {
				s.is(r, f, row, row.names[i][1])
			}
			return true
		}
	}
	return false
}

// byPath routes by the path, which is the hook's name, if the body names no event
// but has the fields of the path's family. The body's type, if any, refines the
// event.
func (s *scan) byPath(r *Record, f *facts) bool {
	var buf [maxName]byte
	hook := lowerName(buf[:0], r.Hook)
	row := familyOfHook(hook)
	if row == nil || row.by == noFact || len(f[row.by]) == 0 {
		return false
	}
	if row == texts {
		s.textMessage(r, f)
		return true
	}
	return s.named(r, f, hook) || s.named(r, f, s.lower(buf[:0], f[factType]))
}

// otherHook routes the event of a hook that no family knows. It must have a hook's
// id, because the path alone doesn't make an event, and a body.
func (s *scan) otherHook(r *Record, hookEvent []byte) bool {
	if r.HookID == "" || !s.filled {
		return false
	}
	var buf [maxName]byte
	hook := lowerName(buf[:0], r.Hook)
	if !isHookName(hook) {
		return false
	}
	if isHookName(hookEvent) {
		hook = hookEvent
	}
	r.Event = string(hook)
	s.identify(r, &s.top, &otherHooks.identity)
	return true
}

// isHookName reports whether a name may be that of an unknown hook.
func isHookName(name []byte) bool {
	return isName(name) && bytes.IndexByte(name, '.') < 0 && string(name) != Unknown && string(name) != ownFamily && familyOfHook(name) == nil
}

// objectEvent routes doc_created, doc_edited and doc_deleted.
func (s *scan) objectEvent(r *Record, f *facts, action Action) (problem string) {
	var buf [maxName]byte
	typ := s.lower(buf[:0], f[factType])
	id := s.text(f[factID])
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
	if IsOwn(name) {
		return "an object event with the name of one of the receiver's own"
	}
	r.Action = action
	r.ObjectType = name[:len(typ)]
	if r.ObjectType == "account" && len(f[factAccountID]) == 0 {
		r.AccountID = id // an account's own document
	}
	r.Event, r.ObjectID = name, id
	s.identify(r, f, &objects.identity)
	return ""
}

// textMessage routes an SMS or MMS, by the body's type or else the path.
func (s *scan) textMessage(r *Record, f *facts) {
	event := "sms"
	switch {
	case string(f[factType]) == "sms":
	case string(f[factType]) == "mms", strings.EqualFold(r.Hook, "mms"), string(s.top[factName]) == "mms":
		event = "mms"
	}
	s.is(r, f, texts, event)
}

// notification routes one of the about 40 kinds of notification.
func (s *scan) notification(r *Record, f *facts, name []byte) (problem string) {
	event := joinName("notification", name)
	if event == "" {
		return "a notification without a usable name"
	}
	s.is(r, f, notices, event)
	return ""
}
