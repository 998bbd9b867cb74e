package event

import "strings"

// The bounds of an unfolded form body. Beyond them keys are kept as they were sent,
// so nothing is lost.
const (
	maxDepth = 64    // levels of nesting
	maxNodes = 32768 // objects and values in one tree
)

// tree reverses Kazoo's form encoding as far as possible: scalars are strings,
// empty containers and null are absent. Different objects may have the same
// encoding: an object's member b and a key "a[b]" are both written a[b]. So one
// key may get several values and also members. None is dropped.
type tree struct {
	root     map[string]any
	several  []slot
	nodes    int
	problems *problems
}

// several holds the values of a repeated key, or a key named with [], while the
// tree is built.
type several struct {
	values  []any
	members map[string]any
}

// slot is a place in which a several becomes a list.
type slot struct {
	in  map[string]any
	key string
}

// add adds a value at a path, which is nil for a key that can't be unfolded.
func (t *tree) add(key string, path []string, array bool, value any) {
	if t.nodes+len(path) > maxNodes && len(path) > 1 {
		t.problems.add("too many nested keys to unfold them all")
		path = nil
	}
	if path == nil {
		t.put(t.root, key, value, false)
		return
	}
	last := len(path) - 1
	m := t.root
	for _, name := range path[:last] {
		m = t.members(m, name)
	}
	t.put(m, path[last], value, array)
}

// put adds a value under a key.
func (t *tree) put(m map[string]any, key string, value any, array bool) {
	switch held := m[key].(type) {
	case nil:
		if array {
			t.share(m, key, &several{values: []any{value}})
		} else {
			m[key] = value
			t.nodes++
		}
	case map[string]any:
		t.clash(key)
		t.share(m, key, &several{values: []any{value}, members: held})
	case *several:
		if !array {
			t.clash(key)
		}
		held.values = append(held.values, value)
	default:
		t.clash(key)
		t.share(m, key, &several{values: []any{held, value}})
	}
}

// members returns the object under a key.
func (t *tree) members(m map[string]any, key string) map[string]any {
	switch held := m[key].(type) {
	case map[string]any:
		return held
	case nil:
		object := map[string]any{}
		m[key] = object
		t.nodes++
		return object
	case *several:
		if held.members == nil {
			t.clash(key)
			held.members = map[string]any{}
		}
		return held.members
	default:
		t.clash(key)
		s := &several{values: []any{held}, members: map[string]any{}}
		t.share(m, key, s)
		return s.members
	}
}

func (t *tree) share(m map[string]any, key string, s *several) {
	m[key] = s
	t.nodes++
	t.several = append(t.several, slot{m, key})
}

func (t *tree) clash(key string) {
	t.problems.add("the key %s has several values", brief(key))
}

// finish turns each several into a list.
func (t *tree) finish() {
	for _, at := range t.several {
		s, ok := at.in[at.key].(*several)
		if !ok {
			continue
		}
		if s.members != nil {
			s.values = append(s.values, s.members)
		}
		at.in[at.key] = s.values
	}
}

// splitKey splits a[b][c] or a[b][]. Brackets within a name are paired:
// nest[in[br]] is the member in[br] of nest. The path is nil for a key that is not
// of that form or is nested too deep.
func splitKey(path []string, key string) (_ []string, array bool) {
	open := strings.IndexByte(key, '[')
	if open < 0 {
		return append(path, key), false
	}
	path = append(path, key[:open])
	for rest := key[open:]; rest != ""; {
		if rest == "[]" {
			return path, true
		}
		end := closing(rest)
		if end < 0 || len(path) == maxDepth {
			return nil, false
		}
		path = append(path, rest[1:end])
		rest = rest[end+1:]
	}
	return path, false
}

// closing returns the position of the bracket that closes the first one, -1 if
// there is none.
func closing(s string) int {
	if s[0] != '[' {
		return -1
	}
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}
