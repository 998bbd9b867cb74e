package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// marks are pieces of secrets that consist of letters and digits only. URL, JSON, shell
// and HTML escaping don't change those, so one search finds them all.
type marks struct {
	mu    sync.Mutex
	forms map[string]string // what to search for, and which mark it is a form of
}

// add adds a piece of a secret with the forms to search for.
func (m *marks) add(piece string, forms ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.forms == nil {
		m.forms = map[string]string{}
	}
	for _, f := range forms {
		m.forms[f] = piece
	}
}

// forms returns a mark as it is, in hexadecimal, and in base64 within a longer text, at
// each of the three offsets where it may begin.
func forms(mark string) []string {
	out := []string{mark, hex.EncodeToString([]byte(mark))}
	for shift := range 3 {
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			whole := enc.EncodeToString([]byte(strings.Repeat("x", shift) + mark))
			// Digits that also encode neighbouring bytes are left out.
			out = append(out, whole[(shift*8+5)/6:(shift+len(mark))*8/6])
		}
	}
	return out
}

// outputs is everything that the program has printed or answered.
type outputs struct {
	mu    sync.Mutex
	parts []part
}

type part struct {
	from string
	text fmt.Stringer
}

type said string

func (s said) String() string { return string(s) }

// add adds one piece of output.
func (o *outputs) add(from, text string) { o.watch(from, said(text)) }

// watch adds output that is still being written.
func (o *outputs) watch(from string, text fmt.Stringer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parts = append(o.parts, part{from, text})
}

// collected keeps what is written to it, and calls stop once it contains text.
type collected struct {
	logLines
	text string // "": never stop
	stop func()
}

// Write stores what is written.
func (c *collected) Write(p []byte) (int, error) {
	n, err := c.logLines.Write(p)
	if c.text != "" && strings.Contains(c.String(), c.text) {
		c.stop()
	}
	return n, err
}

// saw fails unless an output of that origin contains text. Otherwise the search would
// succeed on an empty output.
func (o *outputs) saw(t *testing.T, from, text string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.parts {
		if p.from == from && strings.Contains(p.text.String(), text) {
			return
		}
	}
	t.Errorf("%s did not say %q", from, text)
}

// search reports every mark in any form, with the text around it.
func (o *outputs) search(t *testing.T, m *marks) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.parts {
		text := p.text.String()
		for form, mark := range m.forms {
			if i := strings.Index(text, form); i >= 0 {
				t.Errorf("%s shows %q as %q:\n...%s...", p.from, mark, form, text[max(0, i-200):min(len(text), i+len(form)+60)])
			}
		}
	}
}

// TestLeaksAreFound: the search finds a secret in each form.
func TestLeaksAreFound(t *testing.T) {
	t.Parallel()
	const mark = "MARKtestmark0"
	for shift := range 4 {
		text := strings.Repeat("a", shift) + mark + "bcd"
		for name, shown := range map[string]string{
			"raw": text, "base64": base64.StdEncoding.EncodeToString([]byte(text)), "base64 for URLs": base64.RawURLEncoding.EncodeToString([]byte(text)),
			"hexadecimal": hex.EncodeToString([]byte(text)),
		} {
			found := false
			for _, form := range forms(mark) {
				found = found || len(form) > len(mark)/2 && strings.Contains("..."+shown+"...", form)
			}
			if !found {
				t.Errorf("%s, %d characters before it: not found in %s", name, shift, shown)
			}
		}
	}
}
