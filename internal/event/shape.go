package event

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/gorilla/schema"
)

// kind is what a field of a payload takes.
type kind uint8

const (
	kindText kind = iota
	kindInt
	kindBool
	kindAmount
	kindList
)

// shape is what a payload's type knows of the wire: its fields by key, in lower
// case with '_' for '-', and the objects that they lie in. A struct within the
// payload is a part of its own, which the schema decoder fills by itself: its way
// through embedded structs is several times slower. Hence their schema:"-" tags.
type shape struct {
	fields  map[string]field
	parents map[string]bool
	parts   [][]int // index of each part in the payload
}

type field struct {
	name string
	kind kind
	part int
}

// shapes holds one shape per payload type and the one schema decoder, whose cache
// of types is what makes it worth sharing. Nothing changes it after newShapes.
type shapes struct {
	byType  map[reflect.Type]*shape
	decoder *schema.Decoder
}

func newShapes() *shapes {
	s := &shapes{byType: map[reflect.Type]*shape{}, decoder: schema.NewDecoder()}
	for _, payload := range []any{
		Envelope{}, Object{}, Channel{}, Parking{}, CDR{}, Stream{}, TextMessage{},
		Notification{}, NewUser{}, PasswordRecovery{}, Voicemail{}, VoicemailFull{},
		MissedCall{}, Fax{}, Port{}, Account{}, Registration{},
	} {
		t := reflect.TypeOf(payload)
		sh := &shape{fields: map[string]field{}, parents: map[string]bool{}}
		sh.read(t, nil)
		s.byType[t] = sh
	}
	return s
}

// read adds the fields of a part and of the parts within it.
func (sh *shape) read(t reflect.Type, index []int) {
	part := len(sh.parts)
	sh.parts = append(sh.parts, index)
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("schema")
		switch {
		case f.Anonymous:
			sh.read(f.Type, append(slices.Clone(index), i))
			continue
		case key == "-":
			continue
		}
		sh.fields[key] = field{key, kindOf(f.Type), part}
		for i := range key {
			if key[i] == '[' {
				sh.parents[key[:i]] = true
			}
		}
	}
}

func kindOf(t reflect.Type) kind {
	switch {
	case t == reflect.TypeFor[Amount]():
		return kindAmount
	case t.Kind() == reflect.Int64:
		return kindInt
	case t.Kind() == reflect.Bool:
		return kindBool
	case t.Kind() == reflect.Slice:
		return kindList
	}
	return kindText
}

// fill gives the fields that the payload's type knows their JSON types in data. A
// value that does not fit stays as it is and is a problem. payload is a pointer to
// one of the known types; with decode it is filled from all that fit, else it may
// be nil.
func (s *shapes) fill(payload any, data map[string]any, p *problems, decode bool) {
	sh := s.byType[reflect.TypeOf(payload).Elem()]
	w := fieldWalk{shape: sh}
	if decode {
		w.values = make([]map[string][]string, len(sh.parts))
	}
	w.object(data, nil)
	slices.Sort(w.misfits)
	for _, misfit := range w.misfits {
		p.add("%s", misfit)
	}
	v := reflect.ValueOf(payload)
	for part, values := range w.values {
		if len(values) == 0 {
			continue
		}
		if err := s.decoder.Decode(v.Elem().FieldByIndex(sh.parts[part]).Addr().Interface(), values); err != nil {
			p.add("some fields do not fit the event's type")
		}
	}
}

// fieldWalk gives the fields that a shape knows their types and, where values is
// not nil, collects their values by part.
type fieldWalk struct {
	*shape
	values  []map[string][]string
	variant map[string]string // which spelling a value came from, where it is not the field's own
	misfits []string
}

func (w *fieldWalk) object(m map[string]any, prefix []byte) {
	var buf [maxFieldKey]byte
	for key, v := range m {
		if len(prefix)+len(key)+2 > maxFieldKey {
			continue
		}
		name := appendFolded(append(buf[:0], prefix...), key)
		if inner, ok := v.(map[string]any); ok {
			if w.parents[string(name)] {
				w.object(inner, name)
			}
			continue
		}
		f, known := w.fields[string(name)]
		if !known || v == nil {
			continue
		}
		typed, fits := convert(f.kind, v)
		if !fits {
			w.misfits = append(w.misfits, "the value of "+brief(key)+" is not "+f.kind.String())
			continue
		}
		if typed != nil {
			m[key] = typed
		}
		if w.values != nil && w.takes(f, key) {
			w.collect(f, v)
		}
	}
}

func (w *fieldWalk) collect(f field, v any) {
	if w.values[f.part] == nil {
		w.values[f.part] = map[string][]string{}
	}
	var values []string
	if list, ok := v.([]any); ok {
		for _, item := range list {
			text, _ := scalarText(item)
			values = append(values, text)
		}
	} else {
		text, _ := scalarText(v)
		values = []string{text}
	}
	w.values[f.part][f.name] = values
}

// takes says whether a value under this spelling of the name is the one to use:
// the field's own spelling comes before others, and those in order.
func (w *fieldWalk) takes(f field, key string) bool {
	name := f.name
	own := strings.HasSuffix(name, key) || strings.HasSuffix(name, "["+key+"]")
	earlier, isVariant := w.variant[name]
	if _, taken := w.values[f.part][name]; taken && !own && (!isVariant || earlier < key) {
		return false
	}
	if !own {
		if w.variant == nil {
			w.variant = map[string]string{}
		}
		w.variant[name] = key
	} else {
		delete(w.variant, name)
	}
	return true
}

// maxFieldKey is longer than the key of any field.
const maxFieldKey = 96

// appendFolded appends a key as shapes spell it: prefix[key], in lower case with
// '_' for '-': version 4 sends custom_channel_vars as Owner-ID, and parking may
// send caller_id_Number.
func appendFolded(prefix []byte, key string) []byte {
	b := prefix
	if len(prefix) > 0 {
		b = append(b, '[')
	}
	for i := 0; i < len(key); i++ {
		c := lowerByte(key[i])
		if c == '-' {
			c = '_'
		}
		b = append(b, c)
	}
	if len(prefix) > 0 {
		b = append(b, ']')
	}
	return b
}

// String is how a problem names the kind.
func (k kind) String() string {
	switch k {
	case kindInt:
		return "a whole number"
	case kindBool:
		return "true or false"
	case kindAmount:
		return "a number"
	case kindList:
		return "a list"
	}
	return "a text"
}

// convert says whether a value fits a kind, and gives its JSON type where that is
// another than it has. An amount stays as it was sent: see Amount.
func convert(k kind, v any) (typed any, fits bool) {
	switch v := v.(type) {
	case string:
		switch {
		case k == kindInt && isInteger(v):
			return json.Number(v), true
		case k == kindBool && (v == "true" || v == "false"):
			return v == "true", true
		}
		return nil, k != kindInt && k != kindBool
	case json.Number:
		return nil, k == kindInt && isInteger(string(v)) || k != kindInt && k != kindBool
	case bool:
		return nil, k != kindInt
	case []any:
		if k != kindList {
			return nil, false
		}
		for _, item := range v {
			if _, ok := scalarText(item); !ok {
				return nil, false
			}
		}
		return nil, true
	}
	return nil, false
}

func scalarText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return string(v), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// isInteger says whether s is a whole number as JSON writes it that fits 64 bits.
func isInteger(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || digits[0] == '0' && len(s) > 1 || digits[0] < '0' || digits[0] > '9' {
		return false
	}
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}
