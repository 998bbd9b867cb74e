package event

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// fact is a value of a body that routing looks at.
type fact uint8

// The facts. The first of several values with one key counts.
const (
	noFact fact = iota
	factID
	factTo
	factFrom
	factType
	factName
	factAction
	factMsgID
	factCallID
	factStreamID
	factTimestamp
	factAccountID
	factHookEvent
	factEventName
	factCategory
	factOtherLeg
	factChannelAccount // the account in the custom_channel_vars
	factCount
)

// factKeys are the facts' keys in Kazoo's spelling.
var factKeys = [factCount]string{
	factID: "id", factTo: "to", factFrom: "from", factType: "type", factName: "name", factAction: "action",
	factMsgID: "msg_id", factCallID: "call_id", factStreamID: "stream_id", factTimestamp: "timestamp",
	factAccountID: "account_id", factHookEvent: "hook_event", factEventName: "event_name", factCategory: "event_category",
	factOtherLeg: "other_leg_call_id", factChannelAccount: "custom_channel_vars[account_id]",
}

// facts are the values of the facts, still escaped; nil if absent. A value is a
// slice of the body.
type facts [factCount][]byte

// factOf returns the fact of a key, noFact for an unknown key.
func factOf(key []byte) fact {
	switch string(key) { // the compiler does not copy key
	case "id":
		return factID
	case "to":
		return factTo
	case "from":
		return factFrom
	case "type":
		return factType
	case "name":
		return factName
	case "action":
		return factAction
	case "msg_id":
		return factMsgID
	case "call_id":
		return factCallID
	case "stream_id":
		return factStreamID
	case "timestamp":
		return factTimestamp
	case "account_id":
		return factAccountID
	case "hook_event":
		return factHookEvent
	case "event_name":
		return factEventName
	case "event_category":
		return factCategory
	case "other_leg_call_id":
		return factOtherLeg
	case "custom_channel_vars[account_id]", "custom_channel_vars[Account-ID]":
		return factChannelAccount
	}
	return noFact
}

// put stores a value. The first of several with one key counts.
func (f *facts) put(key, value []byte) {
	if n := factOf(key); n != noFact && f[n] == nil {
		f[n] = value
	}
}

// scan is the result of one pass over a body: its top-level facts and, for Kazoo
// 5's version 2 envelope, those under "data".
type scan struct {
	top, data facts
	json      bool // values are JSON string contents, not form-escaped
	filled    bool // there is a key with a value
}

// form reads the facts of a form body or query.
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
		s.filled = true
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
	// Kazoo sends keys raw, but a proxy may escape the brackets.
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

// object reads the facts of a JSON body; false if it is not one JSON object.
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
		s.filled = true
		if string(key) == "data" && value[0] == '{' {
			s.data.members(value)
			continue
		}
		s.top.member(key, value)
	}
	return true
}

// members reads the facts from the text of a valid JSON object.
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
		if string(key) == "custom_channel_vars" && f[factChannelAccount] == nil {
			f[factChannelAccount] = channelAccount(value)
		}
	case '[', 'n': // arrays and null identify nothing
	default:
		f.put(key, value)
	}
}

// channelAccount returns the account in the text of custom_channel_vars, which
// version 4 spells Account-ID and version 5 account_id.
func channelAccount(vars []byte) []byte {
	c := members{buf: vars}
	c.open()
	for key, value, ok := c.next(); ok; key, value, ok = c.next() {
		if value[0] == '"' && (string(key) == "account_id" || string(key) == "Account-ID") {
			return value[1 : len(value)-1]
		}
	}
	return nil
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

// maxFact is longer than any of Kazoo's identifiers. A longer value counts as
// absent, to bound the rows of the journal's indexes.
const maxFact = 512

// text returns a fact as a string of valid UTF-8.
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

// isPlain reports whether a value is ASCII without escapes of a form or JSON.
func isPlain(raw []byte) bool {
	for _, c := range raw {
		if escapes[c] {
			return false
		}
	}
	return true
}

// escapes are the bytes that isPlain searches for.
var escapes = func() (table [256]bool) {
	for c := range table {
		table[c] = c >= utf8.RuneSelf || c == '%' || c == '+' || c == '\\'
	}
	return table
}()
