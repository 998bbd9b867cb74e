package event

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// members walks the members of one JSON object without parsing their values. The
// text must be valid JSON.
type members struct {
	buf []byte
	pos int
}

// open steps into the object; false if the text is not an object.
func (m *members) open() bool {
	m.space()
	if m.pos == len(m.buf) || m.buf[m.pos] != '{' {
		return false
	}
	m.pos++
	return true
}

// next returns the contents of the next key (still escaped) and the text of its
// value, which is never empty.
func (m *members) next() (key, value []byte, ok bool) {
	m.space()
	if m.buf[m.pos] == ',' {
		m.pos++
		m.space()
	}
	if m.buf[m.pos] == '}' {
		return nil, nil, false
	}
	end := stringEnd(m.buf, m.pos)
	key = m.buf[m.pos+1 : end-1]
	m.pos = end
	m.space()
	m.pos++ // the colon
	m.space()
	end = valueEnd(m.buf, m.pos)
	value = m.buf[m.pos:end]
	m.pos = end
	return key, value, true
}

func (m *members) space() {
	for m.pos < len(m.buf) && isSpace(m.buf[m.pos]) {
		m.pos++
	}
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t'
}

// stringEnd returns the position after the string that starts at pos.
func stringEnd(b []byte, pos int) int {
	for i := pos + 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// valueEnd returns the position after the value that starts at pos. It needs no
// recursion.
func valueEnd(b []byte, pos int) int {
	depth := 0
	for i := pos; i < len(b); {
		switch b[i] {
		case '"':
			i = stringEnd(b, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth == 0 {
				return i // a literal that ends with its container
			}
			depth--
			i++
		case ',', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return i
			}
			i++
			continue
		default:
			i++
			continue
		}
		if depth == 0 {
			return i
		}
	}
	return len(b)
}

// unquote returns the text of a JSON string from its contents. It also reports
// whether there were bytes that are not valid UTF-8, which become \xNN as in a
// form.
func unquote(contents []byte) (text string, invalid bool) {
	if bytes.IndexByte(contents, '\\') < 0 {
		return printable(string(contents))
	}
	return printable(string(appendUnquoted(make([]byte, 0, len(contents)), contents)))
}

// appendUnquoted appends the text of a valid JSON string from its contents. Unlike
// encoding/json it keeps bytes that are not valid UTF-8.
func appendUnquoted(dst, contents []byte) []byte {
	for i := 0; i < len(contents); i++ {
		c := contents[i]
		if c != '\\' || i+1 == len(contents) {
			dst = append(dst, c)
			continue
		}
		i++
		switch c = contents[i]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := codeUnit(contents[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if rest := contents[i+1:]; len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
					low = codeUnit(rest[2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		default: // quote, backslash and slash
			dst = append(dst, c)
		}
	}
	return dst
}

// codeUnit returns the value of the four hexadecimal digits at the start of b.
func codeUnit(b []byte) rune {
	if len(b) < 4 {
		return utf8.RuneError
	}
	var r rune
	for _, c := range b[:4] {
		r = r<<4 | rune(unhex(c))
	}
	return r
}
