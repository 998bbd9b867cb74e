//go:build real

package main

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"kazoohook/internal/requests"
)

//go:embed testdata/page_measure.js
var pageMeasure string

// look gives the page a width and a colour scheme.
func (b *tab) look(width int64, scheme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(width, 1000))
	b.until("the chart is drawn anew", `!document.querySelector("#plot svg") || Math.abs(document.querySelector("#plot svg").clientWidth - document.querySelector("#plot").clientWidth) <= 1`)
	// Now the size observers, and what they triggered, are done.
	evaluate[bool](b, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(true), 120))))`)
}

// measure returns what is wrong with how the page looks.
func (b *tab) measure() []string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserLimit)
	defer cancel()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](pageMeasure))
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

// picture writes a screenshot for people to look at.
func (b *tab) picture(name string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserLimit)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Join(screenshotDir, name)), 0o750); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(screenshotDir, name+".png"), picture, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// TestPageStates: in every state, at every width, light and dark, no text leaves its
// place or covers another. All text is readable and true. Two browsers share the
// states. If SCREENSHOTS is set, screenshots are written.
func TestPageStates(t *testing.T) {
	t.Parallel()
	now := time.Now()
	states := pageStates(now)
	names := slices.Sorted(maps.Keys(states))
	for part := range slices.Chunk(names, (len(names)+1)/2) {
		t.Run(part[0]+" to "+part[len(part)-1], func(t *testing.T) {
			t.Parallel()
			b, st := newTab(t), newStage(t)
			st.requests.Note(requests.Request{Seq: 15, At: now, Method: "POST", From: "203.0.113.7", Status: 200, Written: true, Took: 3210 * time.Microsecond, Headers: []requests.Header{
				{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}, {Name: "Authorization", Value: "***"}, {Name: "X-Forwarded-Proto", Value: "https"}, {Name: "X-Long", Value: longID + longID + longID},
			}})
			st.requests.Note(requests.Request{Seq: 15, Duplicate: true, At: now.Add(time.Second), Method: "POST", From: "203.0.113.7", Status: 200, Took: 4321 * time.Millisecond, Omitted: 3, Headers: []requests.Header{{Name: "Host", Value: "h"}}})
			for _, name := range part {
				t.Run(name, func(t *testing.T) {
					b.t = t
					b.enter(st, states[name], now)
					b.measured(name)
				})
				b.t = t
			}
			b.expect("500")
			if c := b.complaints(); len(c) > 0 {
				t.Errorf("the browser complained: %q", c)
			}
		})
	}
}

// enter brings the page into a state and checks its text.
func (b *tab) enter(st *stage, state pageState, now time.Time) {
	b.t.Helper()
	st.set(func(s *stageState) {
		*s = stageState{}
		ordinary(s, now)
		if state.set != nil {
			state.set(s)
		}
	})
	b.expect("500", "Failed to load", "ERR_")
	b.look(1400, "light")
	b.do(chromedp.Navigate(st.url))
	title := fmt.Sprintf(`document.querySelector("#state-title").textContent === %q`, state.title)
	if state.then == nil {
		b.until("the state is said", title)
	}
	if st.get().fail == nil {
		b.until("the list is there", `document.querySelector(".row:not([hidden])") || !document.querySelector("#blank").hidden`)
	}
	if state.do != nil {
		state.do(b)
	}
	if state.then != nil {
		st.set(state.then)
		st.server.CloseClientConnections()
		b.until("the state is said", title)
	}
	want := state.tab
	if want == "" {
		want = state.title
	}
	if !b.is(fmt.Sprintf(`document.title.endsWith(" · kazoohook") && document.title.includes(%q)`, want)) {
		b.t.Errorf("the title doesn't show the state %q", want)
	}
	for _, text := range state.says {
		b.until("it says "+text, fmt.Sprintf(`document.body.innerText.includes(%q)`, text))
	}
	for _, text := range state.not {
		if b.is(fmt.Sprintf(`document.body.innerText.includes(%q)`, text)) {
			b.t.Errorf("it says %q", text)
		}
	}
}

// measured measures the page at each width and in both colour schemes.
func (b *tab) measured(name string) {
	b.t.Helper()
	for _, width := range []int64{1400, 768, 360} {
		for _, scheme := range []string{"light", "dark"} {
			b.look(width, scheme)
			for _, problem := range b.measure() {
				b.t.Errorf("%d px, %s: %s", width, scheme, problem)
			}
			if os.Getenv("SCREENSHOTS") != "" {
				b.picture(fmt.Sprintf("states/%s-%d-%s", strings.ReplaceAll(name, " ", "-"), width, scheme))
			}
		}
	}
}
