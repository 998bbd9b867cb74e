package event

import "strings"

// The bounds of what a form body is unfolded into. Beyond them keys are kept as
// they were sent, so that nothing is lost.
const (
	maxDepth = 64    // levels of nesting
	maxNodes = 32768 // objects and values in one tree
)

// tree unfolds pairs into what Kazoo's encoder was given, as far as the encoding
// allows: scalars are strings, empty containers and null are absent. The encoding
// is not injective (an object's member b and a key "a[b]" both print as a[b]), so
// that one key may come to hold several values, and members as well; none is
// dropped.
type tree struct {
	root     map[string]any
	several  []slot
	nodes    int
	problems *problems
}

// several is what a key with more than one value, or named with [], holds while
// the tree is built.
type several struct {
	values  []any
	members map[string]any
}

// slot is where a several is to become a list.
type slot struct {
	in  map[string]any
	key string
}

func newTree(size int, p *problems) *tree {
	return &tree{root: make(map[string]any, size), problems: p}
}

func (t *tree) add(p Pair) {
	key, changed := printable(p.Key)
	if changed {
		t.problems.add("the key %s is not valid UTF-8", brief(key))
	}
	value, changed := printable(p.Value)
	if changed {
		t.problems.add("the value of %s is not valid UTF-8", brief(key))
	}
	if strings.IndexByte(key, '[') < 0 {
		t.put(t.root, key, value, false)
		return
	}
	var buf [maxDepth]string
	path, array := splitKey(buf[:0], key)
	switch {
	case path == nil:
		t.problems.add("the key %s can't be unfolded", brief(key))
	case t.nodes+len(path) > maxNodes:
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
func (t *tree) put(m map[string]any, key, value string, array bool) {
	switch held := m[key].(type) {
	case nil:
		if array {
			t.share(m, key, &several{values: []any{value}})
		} else {
			m[key] = value
			t.nodes++
		}
	case string:
		t.clash(key)
		t.share(m, key, &several{values: []any{held, value}})
	case map[string]any:
		t.clash(key)
		t.share(m, key, &several{values: []any{value}, members: held})
	case *several:
		if !array {
			t.clash(key)
		}
		held.values = append(held.values, value)
	}
}

// members is the object under a key.
func (t *tree) members(m map[string]any, key string) map[string]any {
	switch held := m[key].(type) {
	case map[string]any:
		return held
	case string:
		t.clash(key)
		s := &several{values: []any{held}, members: map[string]any{}}
		t.share(m, key, s)
		return s.members
	case *several:
		if held.members == nil {
			t.clash(key)
			held.members = map[string]any{}
		}
		return held.members
	}
	object := map[string]any{}
	m[key] = object
	t.nodes++
	return object
}

func (t *tree) share(m map[string]any, key string, s *several) {
	m[key] = s
	t.nodes++
	t.several = append(t.several, slot{m, key})
}

func (t *tree) clash(key string) {
	t.problems.add("the key %s has several values", brief(key))
}

// object is the finished tree.
func (t *tree) object() map[string]any {
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
	return t.root
}

// splitKey takes a[b][c] or a[b][] apart. Brackets within a name are paired:
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

// closing is the position of the bracket that closes the one s starts with, -1 if
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
