package fakekazoo

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// jsonStyle is a way in which Kazoo writes JSON.
type jsonStyle int

const (
	jsonCompact   jsonStyle = iota // keys in their own order
	jsonPretty                     // Kazoo 4.3's hook bodies (jiffy's `pretty`)
	jsonCanonical                  // Kazoo 5's hook bodies: compact, keys sorted bytewise
)

// appendJSON appends v as Kazoo's JSON library (jiffy) writes it: UTF-8 as it
// is, control characters escaped with upper-case hexadecimal digits, floats in
// their shortest form.
func appendJSON(dst []byte, v any, style jsonStyle) []byte {
	return appendJSONAt(dst, v, style, 0)
}

func appendJSONAt(dst []byte, v any, style jsonStyle, depth int) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case string:
		return appendJSONString(dst, v)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		return append(dst, jsonFloat(v)...)
	case json.Number:
		return append(dst, jsonNumber(v)...)
	case *jobj:
		return appendJSONObject(dst, v, style, depth)
	case []any:
		dst = append(dst, '[')
		if len(v) == 0 {
			dst = appendJSONIndent(dst, style, depth+1)
		}
		for i := range v {
			dst = appendJSONSeparator(dst, i, style, depth+1)
			dst = appendJSONAt(dst, v[i], style, depth+1)
		}
		return append(appendJSONIndent(dst, style, depth), ']')
	default: // a mistake in this package, which shows in the output
		return appendJSONString(dst, fmt.Sprintf("unexpected %T", v))
	}
}

func appendJSONObject(dst []byte, o *jobj, style jsonStyle, depth int) []byte {
	var fields []jfield
	if o != nil {
		fields = o.fields
	}
	if style == jsonCanonical {
		fields = slices.Clone(fields)
		slices.SortStableFunc(fields, func(a, b jfield) int { return strings.Compare(a.key, b.key) })
	}
	dst = append(dst, '{')
	if len(fields) == 0 { // jiffy breaks the line in an empty object, too
		dst = appendJSONIndent(dst, style, depth+1)
	}
	for i, f := range fields {
		dst = appendJSONSeparator(dst, i, style, depth+1)
		dst = appendJSONString(dst, f.key)
		if style == jsonPretty {
			dst = append(dst, " : "...)
		} else {
			dst = append(dst, ':')
		}
		dst = appendJSONAt(dst, f.val, style, depth+1)
	}
	return append(appendJSONIndent(dst, style, depth), '}')
}

func appendJSONSeparator(dst []byte, i int, style jsonStyle, depth int) []byte {
	if i > 0 {
		dst = append(dst, ',')
	}
	return appendJSONIndent(dst, style, depth)
}

func appendJSONIndent(dst []byte, style jsonStyle, depth int) []byte {
	if style != jsonPretty {
		return dst
	}
	return append(append(dst, '\n'), strings.Repeat("  ", depth)...)
}

func appendJSONString(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		}
		i++
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\b':
			dst = append(dst, `\b`...)
		case c == '\f':
			dst = append(dst, `\f`...)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// jsonNumber keeps an integer of any size as it is.
func jsonNumber(n json.Number) string {
	if f, ok := numberFloat(n); ok {
		return jsonFloat(f)
	}
	return n.String()
}

// numberFloat reports whether the number is a float for Erlang: it is if it was
// written with a point or an exponent.
func numberFloat(n json.Number) (float64, bool) {
	if !strings.ContainsAny(n.String(), ".eE") {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}

// jsonFloat returns the shortest form that reads back as f. It is decimal between 1e-6
// and 1e21, and always has a point or an exponent.
func jsonFloat(f float64) string {
	abs := max(f, -f)
	if abs == 0 || (abs >= 1e-6 && abs < 1e21) {
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	mantissa, exp, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	return mantissa + "e" + exp[:1] + strings.TrimLeft(exp[1:], "0")
}
