package event

import (
	"encoding/json"
	"unicode/utf8"
)

// jsonTree turns valid JSON into Go values: string, bool, json.Number, nil, []any
// and map[string]any. Unlike encoding/json it keeps every value of a repeated key,
// and keeps values nested deeper than maxDepth as text.
type jsonTree struct {
	problems *problems
}

func (t jsonTree) object(text []byte, depth int) map[string]any {
	c := members{buf: text}
	c.open()
	o := t.newObject()
	for key, value, ok := c.next(); ok; key, value, ok = c.next() {
		o.add(t.str(key), value, depth)
	}
	return o.members
}

// jsonObject is an object during reading.
type jsonObject struct {
	jsonTree
	members  map[string]any
	repeated map[string]bool
}

func (t jsonTree) newObject() jsonObject {
	return jsonObject{jsonTree: t, members: map[string]any{}}
}

func (o *jsonObject) add(name string, value []byte, depth int) {
	o.put(name, o.value(value, depth+1))
}

func (o *jsonObject) put(name string, v any) {
	earlier, twice := o.members[name]
	if !twice {
		o.members[name] = v
		return
	}
	o.problems.add("the key %s has several values", brief(name))
	if o.repeated == nil {
		o.repeated = map[string]bool{}
	}
	if list, ok := earlier.([]any); ok && o.repeated[name] {
		o.members[name] = append(list, v)
	} else {
		o.members[name] = []any{earlier, v}
		o.repeated[name] = true
	}
}

func (t jsonTree) value(text []byte, depth int) any {
	switch text[0] {
	case '"':
		return t.str(text[1 : len(text)-1])
	case 't':
		return true
	case 'f':
		return false
	case 'n':
		return nil
	case '{', '[':
		if depth > maxDepth {
			t.problems.add("nested deeper than %d levels: the rest is kept as text", maxDepth)
			return string(text)
		}
		if text[0] == '{' {
			return t.object(text, depth)
		}
		return t.array(text, depth)
	}
	return json.Number(text)
}

func (t jsonTree) array(text []byte, depth int) []any {
	list := []any{}
	for pos := 1; ; {
		for isSpace(text[pos]) || text[pos] == ',' {
			pos++
		}
		if text[pos] == ']' {
			return list
		}
		end := valueEnd(text, pos)
		list = append(list, t.value(text[pos:end], depth+1))
		pos = end
	}
}

func (t jsonTree) str(contents []byte) string {
	s, invalid := unquote(contents)
	if invalid {
		t.problems.add("a string is not valid UTF-8")
	}
	return s
}

// openEnvelope returns the data in a JSON body of version 2, nil if that isn't an
// object; false for version 1.
func openEnvelope(body []byte) (data []byte, ok bool) {
	var f facts
	c := members{buf: body}
	c.open()
	for key, value, more := c.next(); more; key, value, more = c.next() {
		switch {
		case string(key) == "data" && data == nil && value[0] == '{':
			data = value
		case value[0] == '"':
			f.put(key, value[1:len(value)-1])
		}
	}
	return data, string(f[factAction]) == "event" && len(f[factName]) > 0
}

// object parses a JSON object with known fields. Values with a field go to its
// decoder; the result holds the others.
func (d *decoding) object(text []byte, fields map[string]*field, depth int) map[string]any {
	t := jsonTree{d.problems}
	c := members{buf: text}
	c.open()
	for key, _, ok := c.next(); ok; key, _, ok = c.next() {
		if f := fields[string(key)]; f != nil {
			d.count(f, false)
		}
	}
	rest := t.newObject()
	var action, data bool
	c = members{buf: text}
	c.open()
	for key, value, ok := c.next(); ok; key, value, ok = c.next() {
		if d.enveloped && depth == 1 {
			if string(key) == "action" && !action {
				action = true
				continue
			}
			if string(key) == "data" && !data && value[0] == '{' {
				data = true
				continue
			}
		}
		f := fields[string(key)]
		switch {
		case f == nil || d.seen[f.n] != alone:
			rest.add(t.str(key), value, depth)
		case f.kind == kindObject && value[0] == '{':
			if inner := d.object(value, f.fields, depth+1); len(inner) > 0 || isEmptyObject(value) {
				rest.put(f.key, inner)
			}
		case !f.kind.reads(value):
			rest.add(f.key, value, depth)
		default:
			d.text(f, value)
		}
	}
	return rest.members
}

func isEmptyObject(text []byte) bool {
	c := members{buf: text}
	c.open()
	_, _, more := c.next()
	return !more
}

// reads reports whether a decoder may try a JSON value: one value for one, a list
// for a list.
func (k valueKind) reads(value []byte) bool {
	switch c := value[0]; k {
	case kindText, kindSecret:
		return c == '"' && utf8.Valid(value)
	case kindList:
		return c == '[' && utf8.Valid(value)
	case kindObject:
		return false
	default:
		return c != '[' && c != '{' && c != 'n'
	}
}

// text adds a member for a field's decoder.
func (d *decoding) text(f *field, value []byte) {
	if d.texts == nil {
		d.texts = make([][]byte, len(d.plan.parts))
	}
	text := d.texts[f.part]
	text = append(append(append(text, '"'), f.key...), '"', ':')
	d.texts[f.part] = append(append(text, value...), ',')
}
