package event

import (
	"encoding/json"
	"unicode/utf8"
)

// isEnvelope reports whether a form is version 2.
func isEnvelope(pairs Pairs) bool {
	return pairs.Get("action") == "event" && pairs.Get("name") != ""
}

// unfold distributes the pairs of a form: values with a field go to its decoder,
// the others are kept, nested by their keys. In an envelope, the data is in "data".
func unfold(pairs Pairs, d, around *decoding) {
	outer := d
	if around != nil {
		outer = around
	}
	known := make([]struct {
		field *field
		at    *decoding
	}, len(pairs))
	for i, pair := range pairs {
		var path [maxDepth]string
		at, keys, array := place(d, around, path[:0], pair.Key)
		if f := at.plan.lookup(keys); f != nil {
			known[i].field, known[i].at = f, at
			at.count(f, array)
		}
	}
	d.sent, outer.sent = len(pairs), len(pairs)
	d.tree.start(d)
	outer.tree.start(outer)
	var values []string // one array for all of them
	action := false
	for i, pair := range pairs {
		if around != nil && !action && pair.Key == "action" {
			action = true
			continue
		}
		value, changed := printable(pair.Value)
		if changed {
			d.problems.add("the value of %s is not valid UTF-8", brief(pair.Key))
		}
		f := known[i].field
		if f != nil && known[i].at.takes(f) {
			if values == nil {
				values = make([]string, 0, len(pairs))
			}
			n := len(values)
			values = append(values, value)
			known[i].at.value(f, values[n:n+1:n+1])
			continue
		}
		var path [maxDepth]string
		at, keys, array := place(d, around, path[:0], pair.Key)
		if f == nil {
			at.tree.addText(pair.Key, keys, array, value)
		} else {
			at.tree.add(pair.Key, keys, array, typed(f.kind, value))
		}
	}
	d.tree.finish()
	outer.tree.finish()
	d.form, outer.form = true, true
}

// place is the position of a key: its path, and whether it names the item of a
// list.
func place(d, around *decoding, path []string, key string) (at *decoding, keys []string, array bool) {
	keys, array = splitKey(path, key)
	switch {
	case around == nil:
		return d, keys, array
	case len(keys) > 1 && keys[0] == "data":
		return d, keys[1:], array
	}
	return around, keys, array
}

// start starts the tree of values without a field.
func (t *tree) start(d *decoding) { t.root, t.problems = d.rest, d.problems }

// value adds a value for a field that takes it.
func (d *decoding) value(f *field, value []string) {
	if d.values == nil {
		d.values = make([]map[string][]string, len(d.plan.parts))
	}
	values := d.values[f.part]
	if values == nil {
		values = make(map[string][]string, min(d.sent, len(d.plan.parts[f.part].leaves)))
		d.values[f.part] = values
	}
	if earlier, listed := values[f.key]; listed {
		value = append(earlier, value...)
	}
	values[f.key] = value
}

// addText adds a text under a key that no field has.
func (t *tree) addText(key string, path []string, array bool, value string) {
	if !utf8.ValidString(key) {
		key, _ = printable(key)
		t.problems.add("the key %s is not valid UTF-8", brief(key))
		for i := range path {
			path[i], _ = printable(path[i])
		}
	}
	if path == nil {
		t.problems.add("the key %s can't be unfolded", brief(key))
	}
	// HEAD sends each object in a list as its compact JSON.
	if array && len(value) > 1 && value[0] == '{' && json.Valid([]byte(value)) {
		t.add(key, path, array, jsonTree{t.problems}.object([]byte(value), len(path)+1))
		return
	}
	t.add(key, path, array, value)
}
