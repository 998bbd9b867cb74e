package event

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// facts are the values of a body that routing looks at, still escaped as they
// were sent; nil where absent. A value is a view into the body.
type facts struct {
	action, typ, id, accountID, channelAccountID []byte
	hookEvent, eventName, category, name         []byte
	callID, otherLeg, timestamp, msgID, streamID []byte
	from, to                                     []byte
}

// slot is the field for one key, nil for a key that routing doesn't know.
func (f *facts) slot(key []byte) *[]byte {
	switch string(key) { // the compiler does not copy key
	case "id":
		return &f.id
	case "to":
		return &f.to
	case "from":
		return &f.from
	case "type":
		return &f.typ
	case "name":
		return &f.name
	case "action":
		return &f.action
	case "msg_id":
		return &f.msgID
	case "call_id":
		return &f.callID
	case "stream_id":
		return &f.streamID
	case "timestamp":
		return &f.timestamp
	case "account_id":
		return &f.accountID
	case "hook_event":
		return &f.hookEvent
	case "event_name":
		return &f.eventName
	case "event_category":
		return &f.category
	case "other_leg_call_id":
		return &f.otherLeg
	case "custom_channel_vars[account_id]", "custom_channel_vars[Account-ID]":
		return &f.channelAccountID
	}
	return nil
}

// put stores a value. The first of several with one key counts.
func (f *facts) put(key, value []byte) {
	if p := f.slot(key); p != nil && *p == nil {
		*p = value
	}
}

// scan is one pass over a body: its top-level facts and, for Kazoo 5's version 2
// envelope, those under "data".
type scan struct {
	top, data facts
	json      bool // values are JSON string contents, not form-escaped
}

// form takes the facts from a form body or query.
func (s *scan) form(body []byte) {
	for len(body) > 0 {
		segment := body
		if i := bytes.IndexByte(body, '&'); i >= 0 {
			segment, body = body[:i], body[i+1:]
		} else {
			body = nil
		}
		i := bytes.IndexByte(segment, '=')
		if i < 0 {
			continue
		}
		s.formPair(segment[:i], segment[i+1:])
	}
}

// maxFactKey is longer than any key that routing knows, also with its brackets
// escaped.
const maxFactKey = 64

func (s *scan) formPair(key, value []byte) {
	if len(key) > maxFactKey {
		return
	}
	// Kazoo sends keys raw, but what stands between us may escape the brackets.
	var buf [maxFactKey]byte
	if bytes.IndexByte(key, '%') >= 0 {
		key = appendUnescaped(buf[:0], key)
	}
	const prefix = "data["
	if len(key) <= len(prefix) || string(key[:len(prefix)]) != prefix {
		s.top.put(key, value)
		return
	}
	// data[x] is x; data[x][y] is x[y].
	key = key[len(prefix):]
	end := bytes.IndexByte(key, ']')
	switch {
	case end < 0:
		return
	case end == len(key)-1:
		s.data.put(key[:end], value)
	default:
		var nested [maxFactKey]byte
		s.data.put(append(append(nested[:0], key[:end]...), key[end+1:]...), value)
	}
}

// object takes the facts from a JSON body; false if it is not one JSON object.
func (s *scan) object(body []byte) bool {
	if !json.Valid(body) {
		return false
	}
	c := members{buf: body}
	if !c.open() {
		return false
	}
	s.json = true
	for key, value, ok := c.next(); ok; key, value, ok = c.next() {
		if string(key) == "data" && value[0] == '{' {
			s.data.members(value)
			continue
		}
		s.top.member(key, value)
	}
	return true
}

// members takes the facts from the text of a valid JSON object.
func (f *facts) members(object []byte) {
	c := members{buf: object}
	c.open()
	for key, value, ok := c.next(); ok; key, value, ok = c.next() {
		f.member(key, value)
	}
}

func (f *facts) member(key, value []byte) {
	switch value[0] {
	case '"':
		f.put(key, value[1:len(value)-1])
	case '{':
		if string(key) == "custom_channel_vars" && f.channelAccountID == nil {
			var vars facts
			vars.scalars(value)
			f.channelAccountID = vars.accountID
		}
	case '[', 'n': // arrays and null identify nothing
	default:
		f.put(key, value)
	}
}

// scalars is members for an object whose own objects are of no interest.
func (f *facts) scalars(object []byte) {
	c := members{buf: object}
	c.open()
	for key, value, ok := c.next(); ok; key, value, ok = c.next() {
		if value[0] != '"' {
			continue
		}
		if string(key) == "Account-ID" {
			key = []byte("account_id")
		}
		f.put(key, value[1:len(value)-1])
	}
}

// appendText appends a fact's text to dst.
func (s *scan) appendText(dst, raw []byte) []byte {
	if !s.json {
		return appendUnescaped(dst, raw)
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return append(dst, raw...)
	}
	text, _ := unquote(raw)
	return append(dst, text...)
}

// maxFact is longer than any identifier of Kazoo's. A longer value counts as
// absent, so that no row of the journal's indexes grows without bound.
const maxFact = 512

// text is a fact as a string of valid UTF-8.
func (s *scan) text(raw []byte) string {
	switch {
	case len(raw) > maxFact:
		return ""
	case isPlain(raw):
		return string(raw)
	}
	return s.unescaped(raw)
}

func (s *scan) unescaped(raw []byte) string {
	var buf [maxFact]byte
	text, _ := printable(string(s.appendText(buf[:0], raw)))
	return text
}

// isPlain says whether a value is ASCII without anything that is an escape in a
// form or in JSON.
func isPlain(raw []byte) bool {
	for _, c := range raw {
		if escapes[c] {
			return false
		}
	}
	return true
}

// escapes are the bytes that isPlain looks for; it sees every id on the way to the
// answer.
var escapes = func() (table [256]bool) {
	for c := range table {
		table[c] = c >= utf8.RuneSelf || c == '%' || c == '+' || c == '\\'
	}
	return table
}()
