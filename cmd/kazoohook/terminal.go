package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// hidden reports whether a character is invisible and changes the terminal or the
// text around it: control characters of both sets, characters that change the
// direction of writing, and characters without width.
func hidden(r rune) bool {
	switch {
	case r == ' ', 0x20 < r && r < 0x7f:
		return false
	case r == 0x034f, r == 0x115f, r == 0x1160, r == 0x3164, r == 0xffa0: // fillers
		return true
	case r == 0xfe0f: // makes an emoji of the character before it
		return false
	case unicode.Is(unicode.Variation_Selector, r), unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs):
		return true
	}
	return false
}

// printable returns a text on one line that is safe to show in a terminal.
// Every command uses it for all text that comes from elsewhere. Hidden
// characters become escapes.
func printable(s string) string {
	clean := true
	for i, r := range s {
		if hidden(r) || r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd") {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case hidden(r):
			b.WriteString(visible(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// visible writes a hidden character as an escape of Go or JSON.
func visible(r rune) string {
	switch r {
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	if r > 0xffff {
		hi, lo := utf16.EncodeRune(r)
		return fmt.Sprintf(`\u%04x\u%04x`, hi, lo)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// printableLines is printable for a text of several lines. Lines after the first
// are indented, so that they can't imitate our own lines.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n  ")
}

// jsonVisible escapes the hidden characters in JSON. The meaning stays the same,
// and the text is safe for a terminal.
func jsonVisible(b []byte) []byte {
	return replaceHidden(b, func(out []byte, r rune) []byte { return append(out, visible(r)...) })
}

// replaceHidden replaces the hidden characters of JSON, except those between its
// values. It returns b itself if there are none.
func replaceHidden(b []byte, replace func(out []byte, r rune) []byte) []byte {
	var out []byte
	kept := 0
	for i := 0; i < len(b); {
		if b[i] < 0x7f { // JSON holds control characters of the first set between values only
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		if hidden(r) {
			out = replace(append(out, b[kept:i]...), r)
			kept = i + size
		}
		i += size
	}
	if kept == 0 {
		return b
	}
	return append(out, b[kept:]...)
}

// textVisible rewrites a JSON line so that its strings, once decoded, hold
// escapes in place of hidden characters.
func textVisible(line []byte) []byte {
	line = replaceHidden(line, func(out []byte, r rune) []byte { return append(append(out, '\\'), visible(r)...) })
	if !bytes.ContainsRune(line, '\\') {
		return line
	}
	out := make([]byte, 0, len(line)+16)
	for i := 0; i < len(line); i++ {
		out = append(out, line[i])
		if line[i] != '\\' || i+1 == len(line) {
			continue
		}
		i++
		switch c := line[i]; {
		case strings.ContainsRune("nrtbf", rune(c)), c == 'u' && hiddenEscape(line[i:]):
			out = append(out, '\\', c) // the decoded string holds the escape
		default:
			out = append(out, c)
		}
	}
	return out
}

// hiddenEscape reports whether b, which begins with a u, is the escape of a hidden
// character. Half of a surrogate pair counts, because visible pairs are not escaped.
func hiddenEscape(b []byte) bool {
	var r rune
	if len(b) < 5 {
		return false
	}
	if _, err := fmt.Sscanf(string(b[1:5]), "%04x", &r); err != nil {
		return false
	}
	return hidden(r)
}

// jsonOut returns a writer of JSON to standard output. It masks secrets and makes
// the output safe for a terminal.
func (e *env) jsonOut() io.Writer { return &jsonOut{w: unmasked(e.stdout), clean: e.secrets.JSON} }

// jsonOut passes on whole lines, so that secrets and escapes are never cut in two.
type jsonOut struct {
	w     io.Writer
	clean func([]byte) []byte
	begun []byte // beginning of a line that has not ended
}

// Write writes the lines that p ends.
func (o *jsonOut) Write(p []byte) (int, error) {
	o.begun = append(o.begun, p...)
	end := bytes.LastIndexByte(o.begun, '\n') + 1
	if end == 0 {
		return len(p), nil
	}
	if _, err := o.w.Write(jsonVisible(o.clean(o.begun[:end]))); err != nil {
		return 0, err
	}
	o.begun = append(o.begun[:0], o.begun[end:]...)
	return len(p), nil
}
