package event

import "strings"

// maxName bounds the name of an event, because names end up in metric labels and
// query strings. An event with a longer name, or with other characters than a-z,
// 0-9, '_' and '.', is "unknown".
const maxName = 64

// actionOf returns the action that a text names, "" if it names none.
func actionOf[T string | []byte](s T) Action {
	switch string(s) {
	case string(Created):
		return Created
	case string(Edited), "doc_updated": // a hosted Kazoo's old hook doc
		return Edited
	case string(Deleted):
		return Deleted
	}
	return ""
}

// verb returns the last part of an object event's name.
func (a Action) verb() string {
	switch a {
	case Created:
		return "created"
	case Edited:
		return "edited"
	case Deleted:
		return "deleted"
	}
	return ""
}

// lower appends the text of a fact in lower case, or nothing if it is too long for
// a name.
func (s *scan) lower(dst, raw []byte) []byte {
	if len(raw) == 0 || len(raw) > maxName {
		return dst
	}
	start := len(dst)
	return lowered(s.appendText(dst, raw), start)
}

// lowerName is lower for a path segment.
func lowerName(dst []byte, name string) []byte {
	if len(name) > maxName {
		return dst
	}
	start := len(dst)
	return lowered(append(dst, name...), start)
}

func lowered(b []byte, start int) []byte {
	for i := start; i < len(b); i++ {
		b[i] = lowerByte(b[i])
	}
	return b
}

// isName reports whether s can be (part of) the name of an event.
func isName[T string | []byte](s T) bool {
	if len(s) == 0 || len(s) > maxName {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// joinName returns first.second, "" if that is not a valid name. The commonest
// names need no allocation.
func joinName[F, S string | []byte](first F, second S) string {
	if len(first) == 0 || len(second) == 0 || len(first)+1+len(second) > maxName {
		return ""
	}
	var buf [maxName]byte
	b := append(append(append(buf[:0], first...), '.'), second...)
	if !isName(b) {
		return ""
	}
	switch string(b) {
	case "user.created":
		return "user.created"
	case "user.edited":
		return "user.edited"
	case "user.deleted":
		return "user.deleted"
	case "channel.create":
		return "channel.create"
	case "channel.answer":
		return "channel.answer"
	case "channel.bridge":
		return "channel.bridge"
	case "channel.destroy":
		return "channel.destroy"
	}
	return string(b)
}

// isNotificationHook and isTextHook check the last path segment of a hook URI,
// which is the hook's name in Kazoo.
func isNotificationHook(hook string) bool {
	return strings.EqualFold(hook, "notifications") || strings.EqualFold(hook, "notification")
}

func isTextHook(hook string) bool {
	return strings.EqualFold(hook, "sms") || strings.EqualFold(hook, "mms")
}
