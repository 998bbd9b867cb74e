package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// marks are pieces of secrets of letters and digits only: URL, JSON, shell and
// HTML escaping leave those as they are, so that one search finds them all.
type marks struct {
	mu    sync.Mutex
	forms map[string]string // what to search for, and of which mark it is a form
}

// add remembers a piece of a secret.
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

// forms are a mark as it is, in hexadecimal, and what it becomes within a
// longer text in base64, at each of the three places where it may begin.
func forms(mark string) []string {
	out := []string{mark, hex.EncodeToString([]byte(mark))}
	for shift := range 3 {
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			whole := enc.EncodeToString([]byte(strings.Repeat("x", shift) + mark))
			// What shares a digit with its neighbours is left out.
			out = append(out, whole[(shift*8+5)/6:(shift+len(mark))*8/6])
		}
	}
	return out
}

// output is everything that came out of the program.
type output struct {
	mu    sync.Mutex
	parts []part
}

type part struct {
	from string
	text fmt.Stringer
}

type said string

func (s said) String() string { return string(s) }

// add takes one piece of output.
func (o *output) add(from, text string) { o.watch(from, said(text)) }

// watch takes output that is still being written.
func (o *output) watch(from string, text fmt.Stringer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parts = append(o.parts, part{from, text})
}

// heard collects what is written to it, and stops the writer once it has said
// a certain thing.
type heard struct {
	logLines
	text string // empty: nothing in particular
	stop func()
}

// Write keeps what is said.
func (h *heard) Write(p []byte) (int, error) {
	n, err := h.logLines.Write(p)
	if h.text != "" && strings.Contains(h.String(), h.text) {
		h.stop()
	}
	return n, err
}

// saw fails unless something of that origin was said that holds text: a search
// in nothing finds nothing.
func (o *output) saw(t *testing.T, from, text string) {
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

// search reports every mark in any form, with what stands around it.
func (o *output) search(t *testing.T, m *marks) {
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

// TestLeaksAreFound: the search would find a secret.
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
