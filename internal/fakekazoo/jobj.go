package fakekazoo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
)

// jobj is a JSON object that keeps the order of its keys, as Kazoo's objects
// do: that order is the order on the wire.
//
// Values are nil, bool, string, int, int64, float64, json.Number, *jobj or
// []any of these.
type jobj struct {
	fields []jfield
}

type jfield struct {
	key string
	val any
}

// obj builds an object from alternating keys and values.
func obj(kv ...any) *jobj {
	o := &jobj{fields: make([]jfield, 0, len(kv)/2)}
	for i := 0; i+1 < len(kv); i += 2 {
		key, _ := kv[i].(string)
		o.set(key, kv[i+1])
	}
	return o
}

// jobjOf turns a decoded JSON object into an ordered one, keys sorted.
func jobjOf(m map[string]any) *jobj {
	o := &jobj{}
	for _, k := range sortedKeys(m) {
		o.set(k, jvalueOf(m[k]))
	}
	return o
}

func jvalueOf(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return jobjOf(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = jvalueOf(v[i])
		}
		return out
	default:
		return v
	}
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func (o *jobj) index(key string) int {
	return slices.IndexFunc(o.fields, func(f jfield) bool { return f.key == key })
}

// get returns nil for an absent key as well as for a null.
func (o *jobj) get(key string) any {
	if o == nil {
		return nil
	}
	if i := o.index(key); i >= 0 {
		return o.fields[i].val
	}
	return nil
}

func (o *jobj) has(key string) bool { return o != nil && o.index(key) >= 0 }

func (o *jobj) str(key string) string {
	s, _ := o.get(key).(string)
	return s
}

func (o *jobj) obj(key string) *jobj {
	v, _ := o.get(key).(*jobj)
	return v
}

// set replaces the value in place, or appends.
func (o *jobj) set(key string, val any) *jobj {
	if i := o.index(key); i >= 0 {
		o.fields[i].val = val
		return o
	}
	o.fields = append(o.fields, jfield{key, val})
	return o
}

func (o *jobj) del(key string) {
	if i := o.index(key); i >= 0 {
		o.fields = slices.Delete(o.fields, i, i+1)
	}
}

func (o *jobj) len() int {
	if o == nil {
		return 0
	}
	return len(o.fields)
}

// clone copies the object and the objects in it; arrays are shared, nothing
// here changes them.
func (o *jobj) clone() *jobj {
	if o == nil {
		return nil
	}
	c := &jobj{fields: slices.Clone(o.fields)}
	for i := range c.fields {
		if v, ok := c.fields[i].val.(*jobj); ok {
			c.fields[i].val = v.clone()
		}
	}
	return c
}

// UnmarshalJSON keeps the order of the keys and numbers as they were written.
func (o *jobj) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	v, err := decodeValue(dec)
	if err != nil {
		return err
	}
	got, ok := v.(*jobj)
	if !ok {
		return errors.New("not a JSON object")
	}
	*o = *got
	return nil
}

func decodeValue(dec *json.Decoder) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := &jobj{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			val, err := decodeValue(dec)
			if err != nil {
				return nil, err
			}
			name, ok := key.(string)
			if !ok {
				return nil, fmt.Errorf("object key %v is not a string", key)
			}
			o.set(name, val)
		}
		_, err := dec.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			val, err := decodeValue(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, val)
		}
		_, err := dec.Token()
		return list, err
	default:
		return t, nil
	}
}
