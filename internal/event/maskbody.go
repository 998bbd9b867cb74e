package event

import (
	"bytes"
	"encoding/json"
	"strings"
)

// MaskBody returns a body with its secret values replaced, for display. Other bytes
// of forms, queries and JSON are unchanged. An invalid JSON body may hold a secret
// without a key: it is shown only if no word in it hints at a secret, and masked as
// a whole otherwise.
func MaskBody(contentType string, body []byte) []byte {
	inner := content(body)
	if !isJSON(contentType, inner) {
		return maskForm(make([]byte, 0, len(body)), body)
	}
	if json.Valid(inner) {
		before, after, _ := bytes.Cut(body, inner)
		return append(maskJSON(append(make([]byte, 0, len(body)), before...), inner, 0), after...)
	}
	if speaksOfSecret(string(body)) || bytes.ContainsAny(body, `\%`) { // an escape could hide the word
		return []byte(Masked)
	}
	return bytes.Clone(body)
}

// maskForm appends a form or query with its secret values replaced.
func maskForm(dst, form []byte) []byte {
	for first := true; ; first = false {
		segment, rest, more := bytes.Cut(form, []byte{'&'})
		if !first {
			dst = append(dst, '&')
		}
		dst = maskSegment(dst, segment)
		if !more {
			return dst
		}
		form = rest
	}
}

func maskSegment(dst, segment []byte) []byte {
	key, value, ok := bytes.Cut(segment, []byte{'='})
	if !ok {
		return append(dst, segment...)
	}
	dst = append(append(dst, key...), '=')
	name := unescape(string(key))
	if isSecretPath(name) && !isFlag(lastPart(name), string(value)) {
		return append(dst, Masked...)
	}
	if !bytes.ContainsAny(value, "%{[") {
		return append(dst, value...)
	}
	text := unescape(string(value))
	masked := maskText(text, 0)
	if masked == text {
		return append(dst, value...)
	}
	return appendEscaped(dst, masked)
}

// isSecretPath is isSecret for any part of a form's key.
func isSecretPath(key string) bool {
	if strings.IndexByte(key, '[') < 0 {
		return isSecret(key)
	}
	for _, part := range strings.FieldsFunc(key, isBracket) {
		if isSecret(part) {
			return true
		}
	}
	return false
}

func lastPart(key string) string {
	key = strings.TrimRightFunc(key, isBracket)
	return key[strings.LastIndexFunc(key, isBracket)+1:]
}

func isBracket(r rune) bool { return r == '[' || r == ']' }

// maxTextLevel bounds the nesting of JSON in texts of JSON.
const maxTextLevel = 4

// maskText masks the secrets in a text that is itself JSON; other texts are
// unchanged. A text that only looks like JSON and mentions a secret is masked as a
// whole, and so is one that is nested deeper than anything Kazoo sends.
func maskText(text string, level int) string {
	trimmed := strings.TrimLeft(text, " \r\n\t")
	if trimmed == "" || trimmed[0] != '{' && trimmed[0] != '[' {
		return text
	}
	switch {
	case !json.Valid([]byte(text)):
		if speaksOfSecret(text) {
			return Masked
		}
		return text
	case level == maxTextLevel:
		return Masked
	}
	return string(maskJSON(make([]byte, 0, len(text)), []byte(text), level))
}

// speaksOfSecret reports whether a text has a word that isSecret finds in keys.
func speaksOfSecret(text string) bool {
	flat := string(appendFlat(make([]byte, 0, len(text)), text))
	for _, word := range [...]string{"pass", "secret", "credential", "key", "token", "auth", "pin", "cookie", "pwd"} {
		if strings.Contains(flat, word) {
			return true
		}
	}
	return false
}

// maskJSON appends valid JSON with its secret values replaced. It needs no
// recursion, because every string before a colon is a key.
func maskJSON(dst, text []byte, level int) []byte {
	for i := 0; i < len(text); {
		if text[i] != '"' {
			dst = append(dst, text[i])
			i++
			continue
		}
		end := stringEnd(text, i)
		contents, _ := unquote(text[i+1 : end-1])
		value := end
		for value < len(text) && isSpace(text[value]) {
			value++
		}
		if value == len(text) || text[value] != ':' {
			if masked := maskText(contents, level+1); masked != contents {
				dst = appendString(dst, masked)
			} else {
				dst = append(dst, text[i:end]...)
			}
			i = end
			continue
		}
		for value++; isSpace(text[value]); value++ {
		}
		dst = append(dst, text[i:value]...)
		i = value
		if isSecret(contents) {
			i = valueEnd(text, value)
			if isFlag(contents, string(text[value:i])) {
				dst = append(dst, text[value:i]...)
			} else {
				dst = appendString(dst, Masked)
			}
		}
	}
	return dst
}
