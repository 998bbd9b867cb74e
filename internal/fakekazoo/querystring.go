package fakekazoo

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// formEncoder is Kazoo's own form encoder, json_to_querystring
// (kazoo core/kazoo_web/src/kz_http_util.erl), of one of its versions.
//
// It returns what Kazoo's returns, an iolist: a string, or a []any of iolists.
// Attempts store that tree as it is, so its shape matters as well as its bytes.
type formEncoder struct {
	// lossyFloats and noObjectsInArrays are true for 4.3 and false for HEAD.
	lossyFloats       bool
	noObjectsInArrays bool
}

// errEncoderCrash reports a null, or on 4.3 an array of objects, which crashes
// Kazoo's encoder: the sender process dies, nothing is sent and no attempt is
// recorded.
var errEncoderCrash = errors.New("kazoo's form encoder crashes")

func encoderFor(v version) formEncoder {
	return formEncoder{lossyFloats: v == version43, noObjectsInArrays: v == version43}
}

func (e formEncoder) encode(o *jobj) ([]any, error) { return e.object(o, nil) }

func (e formEncoder) object(o *jobj, prefix any) ([]any, error) {
	out := []any{}
	for i, f := range o.fields {
		if i > 0 {
			out = append(out, "&")
		}
		kv, err := e.field(prefix, f.key, f.val)
		if err != nil {
			return nil, err
		}
		out = append(out, kv)
	}
	return out, nil
}

func (e formEncoder) field(prefix any, key string, val any) ([]any, error) {
	switch v := val.(type) {
	case *jobj:
		if prefix == nil {
			return e.object(v, []any{key})
		}
		return e.object(v, []any{prefix, "[", key, "]"})
	case []any:
		out := []any{}
		for i := range v {
			if i > 0 {
				out = append(out, "&")
			}
			s, err := e.element(v[i])
			if err != nil {
				return nil, err
			}
			out = append(out, pair(prefix, key, "[]=", s))
		}
		return out, nil
	case nil:
		return nil, fmt.Errorf("%w: %q is null", errEncoderCrash, key)
	default:
		s, err := e.scalar(v)
		if err != nil {
			return nil, err
		}
		return pair(prefix, key, "=", s), nil
	}
}

// pair never escapes a key.
func pair(prefix any, key, sep, val string) []any {
	if prefix == nil {
		return []any{key, sep, val}
	}
	return []any{prefix, "[", key, "]", sep, val}
}

func (e formEncoder) scalar(val any) (string, error) {
	switch v := val.(type) {
	case string:
		return urlEncode(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return e.float(v), nil
	case json.Number:
		if f, ok := numberFloat(v); ok {
			return e.float(f), nil
		}
		return v.String(), nil
	default:
		return "", fmt.Errorf("%w: value of type %T", errEncoderCrash, val)
	}
}

// element encodes a member of an array. There a null is the atom null, and a
// nested array is taken for an iolist: its strings run together, its integers
// are bytes.
func (e formEncoder) element(val any) (string, error) {
	switch v := val.(type) {
	case nil:
		return "null", nil
	case *jobj:
		if e.noObjectsInArrays {
			return "", fmt.Errorf("%w: object in an array", errEncoderCrash)
		}
		return urlEncode(string(appendJSON(nil, v, jsonCompact))), nil
	case []any:
		raw, err := flattenErlang(v)
		return urlEncode(raw), err
	default:
		return e.scalar(v)
	}
}

func flattenErlang(list []any) (string, error) {
	var b strings.Builder
	for _, val := range list {
		switch v := val.(type) {
		case string:
			b.WriteString(v)
		case []any:
			s, err := flattenErlang(v)
			if err != nil {
				return "", err
			}
			b.WriteString(s)
		case json.Number:
			n, err := v.Int64()
			if err != nil || n < 0 || n > 255 {
				return "", fmt.Errorf("%w: %s is not a byte", errEncoderCrash, v)
			}
			b.WriteByte(byte(n))
		default:
			return "", fmt.Errorf("%w: %T in a nested array", errEncoderCrash, val)
		}
	}
	return b.String(), nil
}

// float encodes a float. 4.3 cuts Erlang's scientific notation after two decimals and
// loses the exponent: 20.5 is 2.05000000000000000000e+01, so it is sent as 2.05. HEAD
// prints the shortest form, with an exponent if there would be six zeros or more.
func (e formEncoder) float(f float64) string {
	if e.lossyFloats {
		s := strconv.FormatFloat(f, 'e', 20, 64)
		return s[:strings.IndexByte(s, '.')+3]
	}
	sign, abs := "", f
	if f < 0 {
		sign, abs = "-", -f
	}
	if abs == 0 {
		return "0.0"
	}
	mantissa, exp, _ := strings.Cut(strconv.FormatFloat(abs, 'e', -1, 64), "e")
	digits := strings.Replace(mantissa, ".", "", 1)
	n, _ := strconv.Atoi(exp)
	return sign + erlangDecimal(digits, n+1)
}

// erlangDecimal writes 0.digits times ten to the power of place.
func erlangDecimal(digits string, place int) string {
	zeros := place - len(digits)
	switch {
	case place > 0 && zeros < 0:
		return digits[:place] + "." + digits[place:]
	case place > 0 && zeros < 6:
		return digits + strings.Repeat("0", zeros) + ".0"
	case place <= 0 && place > -6:
		return "0." + strings.Repeat("0", -place) + digits
	}
	rest := digits[1:]
	if rest == "" {
		rest = "0"
	}
	sign := "+"
	if place < 0 {
		sign = "-"
	}
	return digits[:1] + "." + rest + "e" + sign + strconv.Itoa(max(place-1, 1-place))
}

// urlEncode leaves A-Z a-z 0-9 - . _ ~ alone, makes a space a plus sign and
// every other byte %HH in upper case.
func urlEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			b.WriteByte('+')
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			c == '-', c == '.', c == '_', c == '~':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// flatten turns an iolist into the bytes that are sent.
func flatten(dst []byte, io any) []byte {
	switch v := io.(type) {
	case string:
		return append(dst, v...)
	case json.Number:
		n, _ := v.Int64()
		return append(dst, byte(n))
	case []any:
		for i := range v {
			dst = flatten(dst, v[i])
		}
	}
	return dst
}
