package event

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"

	"github.com/gorilla/schema"
)

// decoding is the decoding of one struct: the inputs of its fields, and the values
// without a field.
type decoding struct {
	plan      *plan
	problems  *problems
	values    []map[string][]string // of a form, by part
	texts     [][]byte              // of JSON, by part: members with a comma after each
	seen      [maxFields]seen       // how each field was sent
	enveloped bool                  // it is the envelope of version 2, whose data is separate
	sent      int                   // pairs of a form
	form      bool                  // values without a field are text
	tree      tree                  // of a form: builds rest
	// rest holds what no field takes: keys without a field, keys with several
	// values, lists in place of one value and the reverse, and values that don't
	// fit.
	rest map[string]any
}

// seen says how a field was sent.
type seen uint8

const (
	alone  seen = 1 << iota // by itself
	listed                  // as the item of a list
	again                   // by itself more than once
)

func newDecoding(p *plan, problems *problems) *decoding {
	return &decoding{plan: p, problems: problems, rest: map[string]any{}}
}

// count records that a field was sent.
func (d *decoding) count(f *field, array bool) {
	switch s := &d.seen[f.n]; {
	case array:
		*s |= listed
	case *s&alone != 0:
		*s |= again
	default:
		*s |= alone
	}
}

// takes reports whether the field accepts what was sent for it.
func (d *decoding) takes(f *field) bool {
	if f.kind == kindList {
		return d.seen[f.n] == listed
	}
	return d.seen[f.n] == alone
}

// finish decodes into the struct and returns the data: its fields and the rest.
func (d *decoding) finish(v reflect.Value) map[string]any {
	var misfits []string
	misfit := func(n int, f *field, value any) {
		at := d.rest
		for _, key := range d.plan.parts[n].path {
			at = d.within(at, key)
		}
		d.insert(at, f.key, value)
		if f.kind != kindText && f.kind != kindSecret && f.kind != kindList {
			misfits = append(misfits, misfitOf(f))
		}
	}
	for n, values := range d.values {
		if len(values) > 0 {
			d.decodeValues(d.plan.parts[n].in(v, true), n, values, misfit)
		}
	}
	for n, text := range d.texts {
		if len(text) > 0 {
			d.decodeText(d.plan.parts[n].in(v, true), n, text, misfit)
		}
	}
	d.others(d.rest, d.plan.root, &misfits)
	slices.Sort(misfits)
	for _, text := range misfits {
		d.problems.add("%s", text)
	}
	maskObject(d.rest)
	if d.plan != planned.empty {
		d.addFields(v)
	}
	readable(d.rest, d.form, 0)
	return d.rest
}

// others reports values of the wrong shape, which no decoder gets: an object in
// place of a value, a number in place of an object. Kazoo does send lists in place
// of values, values in place of lists, and texts in place of objects, so these are
// not reported.
func (d *decoding) others(m map[string]any, fields map[string]*field, misfits *[]string) {
	for key, v := range m {
		f := fields[key]
		if f == nil {
			continue
		}
		switch v := v.(type) {
		case map[string]any:
			if f.kind == kindObject {
				d.others(v, f.fields, misfits)
			} else if f.kind != kindList {
				*misfits = append(*misfits, misfitOf(f))
			}
		case json.Number, bool:
			if f.kind == kindObject {
				*misfits = append(*misfits, misfitOf(f))
			}
		}
	}
}

func misfitOf(f *field) string { return "the value of " + brief(f.key) + " is not " + f.kind.String() }

// decodeValues decodes the values of a form into one part, with gorilla/schema.
func (d *decoding) decodeValues(v reflect.Value, n int, values map[string][]string, misfit func(int, *field, any)) {
	err := planned.decoder.Decode(v.Addr().Interface(), values)
	if err == nil {
		return
	}
	var failed schema.MultiError
	if !errors.As(err, &failed) {
		d.problems.add("the form can't be decoded")
		return
	}
	for key := range failed {
		f := d.plan.parts[n].fields[key]
		v.Field(f.index).SetZero()
		misfit(n, f, values[key][0])
	}
}

// decodeText decodes JSON members into one part, with encoding/json. That reports
// only the first member that doesn't fit, so after an error each member is decoded
// alone.
func (d *decoding) decodeText(v reflect.Value, n int, text []byte, misfit func(int, *field, any)) {
	text = append(append([]byte{'{'}, text[:len(text)-1]...), '}')
	if json.Unmarshal(text, v.Addr().Interface()) == nil {
		return
	}
	c := members{buf: text}
	c.open()
	for key, value, ok := c.next(); ok; key, value, ok = c.next() {
		f := d.plan.parts[n].fields[string(key)]
		field := v.Field(f.index)
		field.SetZero()
		if json.Unmarshal(value, field.Addr().Interface()) != nil {
			field.SetZero()
			misfit(n, f, jsonTree{d.problems}.value(value, d.plan.parts[n].depth()+1))
		}
	}
}
