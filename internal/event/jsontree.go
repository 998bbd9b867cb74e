package event

import "encoding/json"

// jsonTree turns valid JSON into Go values: string, bool, json.Number, nil, []any
// and map[string]any. Unlike encoding/json it keeps every value of a key that
// occurs twice, and keeps what is nested deeper than maxDepth as its text.
type jsonTree struct {
	problems *problems
}

func (t jsonTree) object(text []byte, depth int) map[string]any {
	c := members{buf: text}
	c.open()
	m := map[string]any{}
	var repeated map[string]bool
	for key, value, ok := c.next(); ok; key, value, ok = c.next() {
		name := t.str(key)
		v := t.value(value, depth+1)
		earlier, twice := m[name]
		if !twice {
			m[name] = v
			continue
		}
		t.problems.add("the key %s has several values", brief(name))
		if repeated == nil {
			repeated = map[string]bool{}
		}
		if list, ok := earlier.([]any); ok && repeated[name] {
			m[name] = append(list, v)
		} else {
			m[name] = []any{earlier, v}
			repeated[name] = true
		}
	}
	return m
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
