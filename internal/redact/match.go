package redact

import (
	"regexp"
	"unicode/utf16"
	"unicode/utf8"
)

// replace masks what the patterns match in b. In JSON it masks only within strings.
// It returns b itself if nothing matches.
func (m *matcher) replace(b []byte, inJSON bool) []byte {
	var out []byte
	kept := 0 // out holds b up to here
	quoted := false
	for i := 0; i < len(b); i++ {
		if quoted || !inJSON {
			if begin, end, ok := m.match(b, i); ok && !(inJSON && endsString(b[i:end])) {
				begin = max(begin, kept)
				out = append(append(out, b[kept:begin]...), Mask...)
				kept, i = end, end-1
				continue
			}
		}
		switch {
		case !inJSON:
		case b[i] == '"':
			quoted = !quoted
		case b[i] == '\\' && quoted:
			i++ // an escaped character doesn't end the string
		}
	}
	if kept == 0 {
		return b
	}
	return append(out, b[kept:]...)
}

// endsString reports whether b, which begins within a JSON string, contains its
// end.
func endsString(b []byte) bool {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			return true
		case '\\':
			i++
		}
	}
	return false
}

// match returns the part to mask if a pattern matches at i.
func (m *matcher) match(b []byte, i int) (begin, end int, ok bool) {
	for _, p := range m.first[b[i]] {
		end := matchText(b, i, p.text)
		if end < 0 {
			continue
		}
		if p.common && !named(b, i, end) {
			continue
		}
		begin := i
		for p.base64 && begin > 0 && isBase64(b[begin-1]) {
			begin--
		}
		for p.base64 && end < len(b) && isBase64(b[end]) {
			end++
		}
		return begin, end, true
	}
	return 0, 0, false
}

// says matches a text that ends with a secret's name and the separator after it, as in
// a setting, a JSON property, a header or a parameter.
var says = regexp.MustCompile(`(?i)(?:pass|pwd|secret|token|credential|api_?key)[\w-]*["'\\\s]*(?:[:=]|%3[ad])(?:["'\\\s]|%2[02])*$`)

// maxName is the largest distance from the start of a secret's name to the secret.
const maxName = 64

// named reports whether the text around b[begin:end] says that this is a secret: a
// secret's name before it, or user information of a URL.
func named(b []byte, begin, end int) bool {
	if begin > 0 && isWord(b[begin-1]) && !escaped(b[:begin]) || end < len(b) && isWord(b[end]) {
		return false
	}
	if end < len(b) && b[end] == '@' && begin > 0 && b[begin-1] == ':' {
		return true
	}
	return says.Match(b[max(0, begin-maxName):begin])
}

// escaped reports whether b ends with a percent escape.
func escaped(b []byte) bool {
	if n := len(b); n >= 3 && b[n-3] == '%' {
		_, ok := hexByte(b, n-2)
		return ok
	}
	return false
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c >= utf8.RuneSelf
}

func isBase64(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/' || c == '-' || c == '_' || c == '='
}

// matchText returns the end of a match of text at i, or -1. Each character may be
// plain or encoded, independently of the others.
func matchText(b []byte, i int, text string) int {
	for text != "" {
		if i >= len(b) {
			return -1
		}
		same := b[i] == text[0]
		switch {
		case same && b[i] == '%': // itself, or the escape of itself
			for width := 3; escapesPercent(b[i:], width); width += 2 {
				if end := matchText(b, i+width, text[1:]); end >= 0 {
					return end
				}
			}
			i, text = i+1, text[1:]
		case same && b[i] != '\\':
			i, text = i+1, text[1:]
		default:
			width, size := encoded(b[i:], text)
			if width == 0 {
				return -1
			}
			i, text = i+width, text[size:]
		}
	}
	return i
}

// encoded returns the length of an escape at the start of b, and the length of the text
// that it encodes. It knows percent escapes, + for a space and nested JSON escapes.
func encoded(b []byte, text string) (width, size int) {
	switch b[0] {
	case '+':
		if text[0] == ' ' {
			return 1, 1
		}
	case '%':
		if width = percent(b, text[0]); width == 0 && text[0] == ' ' {
			width = percent(b, '+') // a form within a form
		}
		return width, 1
	case '\\':
		return backslash(b, text)
	}
	return 0, 0
}

// backslash is encoded for a b that begins with a backslash.
func backslash(b []byte, text string) (width, size int) {
	n, own := leading(b), leading([]byte(text))
	if own > 0 {
		if n < own {
			return 0, 0
		}
		for width = own; 2*width <= n; width *= 2 { // each nesting doubles the backslashes
		}
		return width, own
	}
	if n == len(b) {
		return 0, 0
	}
	if b[n] == 'u' || b[n] == 'U' {
		if r, w := unicodeEscape(b[n:]); w > 0 {
			if want, size := utf8.DecodeRuneInString(text); r == want {
				return n + w, size
			}
			return 0, 0
		}
	}
	if shortEscapes[b[n]] == text[0] || b[n] == text[0] {
		return n + 1, 1
	}
	return 0, 0
}

// leading counts the backslashes at the start of b.
func leading(b []byte) int {
	n := 0
	for n < len(b) && b[n] == '\\' {
		n++
	}
	return n
}

// shortEscapes are JSON's escapes of one letter.
var shortEscapes = [256]byte{'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'f': '\f'}

// percent returns the length of c's escape at the start of b, also with an escaped
// percent sign; 0 if there is none.
func percent(b []byte, c byte) int {
	n := 1
	for len(b) >= n+4 && b[n] == '2' && b[n+1] == '5' {
		n += 2
	}
	if v, ok := hexByte(b, n); ok && v == c {
		return n + 2
	}
	return 0
}

// escapesPercent reports whether the first width bytes of b are a percent sign
// that was escaped once or more: %25, %2525 and so on.
func escapesPercent(b []byte, width int) bool {
	return len(b) >= width && b[width-2] == '2' && b[width-1] == '5' && (width == 3 || escapesPercent(b, width-2))
}

func hexByte(b []byte, i int) (byte, bool) {
	if len(b) < i+2 {
		return 0, false
	}
	hi, ok1 := hexDigit(b[i])
	lo, ok2 := hexDigit(b[i+1])
	return hi<<4 | lo, ok1 && ok2
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// unicodeEscape decodes uXXXX, a surrogate pair, or Go's UXXXXXXXX. It returns the
// escape's length in bytes; 0 if there is none.
func unicodeEscape(b []byte) (rune, int) {
	if b[0] == 'U' {
		r, ok := hexRune(b, 1, 8)
		return r, 9 * truth(ok)
	}
	r, ok := hexRune(b, 1, 4)
	if !ok || !utf16.IsSurrogate(r) {
		return r, 5 * truth(ok)
	}
	n := 5 + leading(b[5:])
	if n >= len(b) || b[n] != 'u' {
		return 0, 0
	}
	second, ok := hexRune(b, n+1, 4)
	return utf16.DecodeRune(r, second), (n + 5) * truth(ok)
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// hexRune reads the given number of hexadecimal digits.
func hexRune(b []byte, i, digits int) (rune, bool) {
	var r rune
	for end := i + digits; i < end; i += 2 {
		v, ok := hexByte(b, i)
		if !ok {
			return 0, false
		}
		r = r<<8 | rune(v)
	}
	return r, true
}
