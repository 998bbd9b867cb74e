package event

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/gorilla/schema"
)

// valueKind is the kind of a payload's field.
type valueKind uint8

const (
	kindText valueKind = iota
	kindInteger
	kindBoolean
	kindTime
	kindAmount
	kindSecret
	kindList
	kindObject
)

// plan describes a payload's struct for decoding. Each struct in it (the payload,
// embedded ones, pointed-to ones) is a part, which a decoder fills in one call.
// gorilla/schema's handling of nested structs is several times slower, and its
// paths with dots and indexes differ from Kazoo's.
type plan struct {
	typ    reflect.Type
	parts  []part
	fields []*field
	root   map[string]*field // by key, including embedded structs
}

// part is one struct of a payload.
type part struct {
	index  []int             // its index in the payload
	path   []string          // the keys of the enclosing objects
	fields map[string]*field // its own, by key
	leaves []*field          // fields other than objects
}

// in returns the part in a payload. With create it allocates nil pointers on the
// way; without, the result is invalid if there is one.
func (p *part) in(v reflect.Value, create bool) reflect.Value {
	for _, i := range p.index {
		v = v.Field(i)
		if v.Kind() != reflect.Pointer {
			continue
		}
		if v.IsNil() {
			if !create {
				return reflect.Value{}
			}
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	return v
}

// depth returns the nesting depth of the part's keys.
func (p *part) depth() int { return len(p.path) + 1 }

// field is one field of a payload's struct, with its key.
type field struct {
	key    string
	kind   valueKind
	n      int               // its number in the plan
	part   int               // its part
	index  int               // its number in the part's struct
	fields map[string]*field // of an object
}

// maxFields bounds the fields of one payload, because decoding counts them in an
// array.
const maxFields = 128

func newPlan(payload any) *plan {
	p := &plan{typ: reflect.TypeOf(payload), root: map[string]*field{}}
	p.read(p.typ, part{}, p.root)
	if len(p.fields) > maxFields {
		panic(fmt.Sprintf("%v has more than %d fields", p.typ, maxFields))
	}
	return p
}

// read adds the fields of a struct and of the structs within it. Outer structs come
// first.
func (p *plan) read(t reflect.Type, at part, into map[string]*field) {
	n := len(p.parts)
	at.fields = map[string]*field{}
	p.parts = append(p.parts, at)
	for i := range t.NumField() {
		f := t.Field(i)
		within := part{index: append(slices.Clone(at.index), i), path: at.path}
		if f.Anonymous {
			p.read(f.Type, within, into)
			continue
		}
		added := &field{key: f.Tag.Get("json"), kind: kindOf(f.Type), n: len(p.fields), part: n, index: i}
		if into[added.key] != nil || added.key == "" {
			panic(fmt.Sprintf("%v: the key %q belongs to no field or to two", p.typ, added.key))
		}
		p.fields = append(p.fields, added)
		into[added.key] = added
		at.fields[added.key] = added
		if added.kind != kindObject {
			p.parts[n].leaves = append(p.parts[n].leaves, added)
			continue
		}
		added.fields = map[string]*field{}
		within.path = append(slices.Clone(at.path), added.key)
		p.read(f.Type.Elem(), within, added.fields)
	}
}

func kindOf(t reflect.Type) valueKind {
	switch t {
	case reflect.TypeFor[*string]():
		return kindText
	case reflect.TypeFor[*Integer]():
		return kindInteger
	case reflect.TypeFor[*Boolean]():
		return kindBoolean
	case reflect.TypeFor[*Gregorian]():
		return kindTime
	case reflect.TypeFor[*Amount]():
		return kindAmount
	case reflect.TypeFor[*Secret]():
		return kindSecret
	case reflect.TypeFor[[]string]():
		return kindList
	}
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		return kindObject
	}
	panic(fmt.Sprintf("no field of a payload is a %v", t))
}

// String names the kind in a problem.
func (k valueKind) String() string {
	switch k {
	case kindInteger, kindTime:
		return "a whole number"
	case kindBoolean:
		return "true or false"
	case kindAmount:
		return "a number"
	case kindObject:
		return "an object"
	}
	return "a text"
}

// lookup returns the field of a path, nil if there is none.
func (p *plan) lookup(path []string) *field {
	fields := p.root
	for i, name := range path {
		f := fields[name]
		if f == nil || i == len(path)-1 {
			if f != nil && f.kind == kindObject {
				return nil
			}
			return f
		}
		fields = f.fields
	}
	return nil
}

// plans holds a plan for every payload of the table and the one decoder of forms,
// which caches types. It doesn't change later.
type plans struct {
	byType   map[reflect.Type]*plan
	envelope *plan
	empty    *plan                // of events without a struct
	nested   map[string]valueKind // the kind of a name in objects without a struct
	decoder  *schema.Decoder
}

var planned = newPlans()

func newPlans() *plans {
	p := &plans{byType: map[reflect.Type]*plan{}, nested: map[string]valueKind{}, decoder: schema.NewDecoder()}
	p.decoder.SetAliasTag("json")
	p.decoder.ZeroEmpty(true) // an empty item of a list is an item
	p.decoder.MaxSize(0)      // keys are never indexes
	p.envelope = p.add(Envelope{}, nil)
	p.empty = p.add(struct{}{}, nil)
	for _, f := range families {
		for _, k := range f.kinds {
			if payload := f.payloadOf(&k); payload != nil {
				p.add(payload, f)
			}
		}
	}
	return p
}

func (p *plans) add(payload any, from *family) *plan {
	t := reflect.TypeOf(payload)
	if known := p.byType[t]; known != nil {
		return known
	}
	added := newPlan(payload)
	p.byType[t] = added
	if from == owns {
		return added // its names have no meaning in Kazoo's events
	}
	for _, f := range added.fields {
		known, ok := p.nested[f.key]
		if p.nested[f.key] = f.kind; ok && known != f.kind {
			p.nested[f.key] = kindText // its kinds differ
		}
	}
	return added
}

// payloadOf returns the zero value of a kind's struct, nil if it has none.
func (f *family) payloadOf(k *kind) any {
	if k.payload != nil {
		return k.payload
	}
	return f.payload
}

// planOf returns the plan of an event's payload.
func (p *plans) planOf(e *Event) *plan {
	f := familyOf(e.Event, e.Action)
	if payload := f.payloadOf(f.kind(e.Event)); payload != nil {
		return p.byType[reflect.TypeOf(payload)]
	}
	return p.empty
}

// freeForm reports whether callers choose an object's keys, so that the names have
// no fixed meaning.
func freeForm(key string) bool {
	return strings.HasPrefix(key, "custom_") || key == "databag"
}
