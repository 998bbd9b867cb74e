package event

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strconv"
)

// addFields adds the sent fields to the rest. Only fields of the kind secret have
// keys that mean a secret.
func (d *decoding) addFields(v reflect.Value) {
	for n := range d.plan.parts {
		p := &d.plan.parts[n]
		part := p.in(v, false)
		if !part.IsValid() {
			continue
		}
		var at map[string]any
		for _, f := range p.leaves {
			value := fieldValue(part.Field(f.index), f.kind)
			if value == nil {
				continue
			}
			if at == nil {
				at = d.rest
				for _, key := range p.path {
					at = d.within(at, key)
				}
			}
			d.insert(at, f.key, value)
		}
	}
}

// fieldValue returns the value of a field for the data, nil if it wasn't sent.
func fieldValue(v reflect.Value, kind valueKind) any {
	if v.IsNil() {
		return nil
	}
	switch kind {
	case kindText:
		return masked(v.Elem())
	case kindInteger, kindTime:
		return json.Number(strconv.FormatInt(v.Elem().Int(), 10))
	case kindBoolean:
		return v.Elem().Bool()
	case kindSecret:
		return Masked
	case kindAmount:
		amount := v.Interface().(*Amount) //nolint:forcetypeassert // by kindOf
		if amount.Number {
			return json.Number(amount.Digits)
		}
		return masked(v.Elem().Field(0))
	default:
		list := make([]any, 0, v.Len())
		for i := range v.Len() {
			list = append(list, masked(v.Index(i)))
		}
		return list
	}
}

// masked returns a text with secrets masked, if the text is itself JSON. It masks
// them in the field too.
func masked(v reflect.Value) string {
	text := v.String()
	without := maskText(text, 0)
	if without != text {
		v.SetString(without)
	}
	return without
}

// within returns the object under a key of the rest.
func (d *decoding) within(m map[string]any, key string) map[string]any {
	held, taken := m[key]
	if object, ok := held.(map[string]any); ok {
		return object
	}
	object := map[string]any{}
	if !taken {
		m[key] = object
		return object
	}
	d.problems.add("the key %s has several values", brief(key))
	if list, ok := held.([]any); ok {
		if len(list) > 0 {
			if last, ok := list[len(list)-1].(map[string]any); ok {
				return last
			}
		}
		m[key] = append(list, object)
	} else {
		m[key] = []any{held, object}
	}
	return object
}

// insert adds a value to the rest without replacing another.
func (d *decoding) insert(m map[string]any, key string, value any) {
	held, taken := m[key]
	if !taken {
		m[key] = value
		return
	}
	d.problems.add("the key %s has several values", brief(key))
	m[key] = []any{value, held}
}

// timeSuffix makes the key of an RFC 3339 time from the key of the same time in
// gregorian seconds.
const timeSuffix = "_time"

// readable adds an RFC 3339 time to each gregorian one at every level: to those that
// the table names, and to others that look like one. Texts of a form below the first
// level get the types that their names have elsewhere in the table. A sent key is never
// overwritten.
func readable(m map[string]any, form bool, depth int) {
	var times []string
	for key, v := range m {
		switch v := v.(type) {
		case map[string]any:
			if !freeForm(key) {
				readable(v, form, depth+1)
			}
			continue
		case []any:
			for _, item := range v {
				if object, ok := item.(map[string]any); ok {
					readable(object, false, depth+1) // JSON within the form
				}
			}
			continue
		}
		kind, known := planned.nested[key]
		if !known && looksLikeTime(key, v) {
			kind = kindTime
		}
		if kind == kindTime {
			times = append(times, key)
		}
		if text, ok := v.(string); ok && form && depth > 0 {
			m[key] = typed(kind, text)
		}
	}
	for _, key := range times {
		text, _ := scalarText(m[key])
		seconds, _ := integer(text)
		if _, taken := m[key+timeSuffix]; taken {
			continue
		}
		if at, ok := Gregorian(seconds).readable(); ok {
			m[key+timeSuffix] = at
		}
	}
}

// timeNames end the names of times: notify.missed.at, expires_at, transfer_date.
var timeNames = regexp.MustCompile(`(^|_)(at|date|time|timestamp|created|modified|expires|expiration)$`)

// looksLikeTime reports whether a value that the table doesn't know is of the years 2000
// to 2100 in gregorian seconds: a number, or a text whose name is a time's. Telephone
// numbers of that length are texts.
func looksLikeTime(key string, v any) bool {
	const year2000, year2100 = GregorianEpoch + 946684800, GregorianEpoch + 4102444800
	text, _ := scalarText(v)
	seconds, ok := integer(text)
	if !ok || seconds < year2000 || seconds >= year2100 {
		return false
	}
	_, number := v.(json.Number)
	return number || timeNames.MatchString(key)
}

// typed converts a form's text to the type of its name, if it fits.
func typed(kind valueKind, text string) any {
	switch kind {
	case kindInteger, kindTime:
		if _, ok := integer(text); ok {
			return json.Number(text)
		}
	case kindBoolean:
		if text == "true" || text == "false" {
			return text == "true"
		}
	}
	return text
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
