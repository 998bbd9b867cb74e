package event

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Pair is one key and value of a form body or query, unescaped.
type Pair struct {
	Key, Value string
}

// Pairs are the pairs of a form in the order in which they were sent. A key may
// occur several times.
type Pairs []Pair

// MaxPairs bounds the pairs of one body that are parsed. Kazoo's largest events
// have fewer than 100.
const MaxPairs = 16384

// Get returns the value of the first pair with that key, or "".
func (p Pairs) Get(key string) string {
	for i := range p {
		if p[i].Key == key {
			return p[i].Value
		}
	}
	return ""
}

// splitForm parses a form body or query by the rules of Kazoo's encoder (kazoo 4.3
// core/kazoo_web/src/kz_http_util.erl, json_to_querystring). An empty object or
// array leaves its separator behind, so empty segments are skipped. Keys are sent
// raw, so a '&' or '=' in a key splits it, which can't be undone. A key without '='
// has the empty value. Nothing is refused: invalid escapes and invalid UTF-8 are
// kept unchanged. The rest is everything after the first MaxPairs.
func splitForm(raw []byte) (pairs Pairs, rest []byte) {
	n := min(bytes.Count(raw, []byte{'&'})+1, MaxPairs)
	pairs = make(Pairs, 0, n)
	s := string(raw) // values without escapes are substrings of this one copy
	for pos := 0; pos < len(s); {
		segment := s[pos:]
		start := pos
		if i := strings.IndexByte(segment, '&'); i >= 0 {
			segment = segment[:i]
			pos++
		}
		pos += len(segment)
		if segment == "" {
			continue
		}
		if len(pairs) == MaxPairs {
			return pairs, raw[start:]
		}
		key, value, _ := strings.Cut(segment, "=")
		pairs = append(pairs, Pair{unescape(key), unescape(value)})
	}
	return pairs, nil
}

// unescape undoes form escaping and keeps invalid escapes.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	return string(appendUnescaped(make([]byte, 0, len(s)), s))
}

// appendUnescaped appends s to dst with form escaping undone.
func appendUnescaped[T string | []byte](dst []byte, s T) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			dst = append(dst, ' ')
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			dst = append(dst, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendEscaped appends s escaped as Kazoo does: A-Z a-z 0-9 - . _ ~ raw, space
// as '+', every other byte as %HH in upper case.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '~':
			dst = append(dst, c)
		case c == ' ':
			dst = append(dst, '+')
		default:
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// printable returns s as valid UTF-8, with every byte that is not part of a valid
// sequence written as \xNN, and whether that changed anything. A replacement
// character would make different keys equal: Kazoo lower-cases the bytes of
// notification keys, which leaves invalid sequences that differ in one byte.
func printable(s string) (string, bool) {
	if utf8.ValidString(s) {
		return s, false
	}
	return string(appendPrintable(make([]byte, 0, len(s)+16), s, `\x`)), true
}

// appendPrintable appends s with invalid bytes written as mark and two hexadecimal
// digits.
func appendPrintable(dst []byte, s, mark string) []byte {
	const digits = "0123456789abcdef"
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(append(dst, mark...), digits[s[i]>>4], digits[s[i]&15])
		} else {
			dst = append(dst, s[i:i+size]...)
		}
		i += size
	}
	return dst
}
