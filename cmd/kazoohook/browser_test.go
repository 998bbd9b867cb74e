//go:build real

package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// browserLimit is how long a browser on a busy machine may take for a step whose time
// isn't measured.
const browserLimit = 3 * time.Minute

// tab is a page in a real browser, with the errors from its console.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	expected func(string) bool // errors that the test provokes
	errors   []string
}

// newTab starts its own browser.
func newTab(t *testing.T) *tab {
	t.Helper()
	path := browserPath()
	if path == "" {
		t.Fatal("no chromium found: apt-get install chromium")
	}
	allocator, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.WSURLReadTimeout(browserLimit))...)
	t.Cleanup(stop)
	b := &tab{t: t}
	ctx, closeTab := chromedp.NewContext(allocator, chromedp.WithListener(b.listen), chromedp.WithErrorf(func(string, ...any) {
		// Messages of a browser that is newer than the protocol's description.
	}))
	t.Cleanup(closeTab)
	b.ctx = ctx
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	// The page keeps the focus while other browsers are tested.
	if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	return b
}

func browserPath() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func (b *tab) listen(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		b.complain(text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			words := []string{"console:"}
			for _, a := range e.Args {
				words = append(words, string(a.Value)+a.Description)
			}
			b.complain(strings.Join(words, " "))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.complain(fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	}
}

func (b *tab) complain(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.expected == nil || !b.expected(text) {
		b.errors = append(b.errors, text)
	}
}

// expect accepts errors that contain one of texts from now on; without texts, none.
func (b *tab) expect(texts ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = func(s string) bool {
		for _, text := range texts {
			if strings.Contains(s, text) {
				return true
			}
		}
		return false
	}
}

func (b *tab) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.errors
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserLimit)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%v; the page says:\n%s\nits console: %q", err, b.text(), b.complaints())
	}
}

// until waits until a JavaScript expression is true and returns how long it took.
func (b *tab) until(what, expression string) time.Duration {
	b.t.Helper()
	begin := time.Now()
	for deadline := begin.Add(browserLimit); ; {
		if b.is(expression) {
			return time.Since(begin)
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s: still not after %s; the page says:\n%s\nits console: %q", what, browserLimit, b.text(), b.complaints())
		}
		select {
		case <-b.ctx.Done():
			b.t.Fatal(b.ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (b *tab) is(expression string) bool {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserLimit)
	defer cancel()
	ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return ok
}

func (b *tab) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if err != nil {
		return err.Error()
	}
	return text
}

// run runs a JavaScript statement.
func (b *tab) run(statement string) {
	b.t.Helper()
	b.is("(() => { " + statement + "; })()")
}

// write replaces the text of an input, as if it was typed.
func (b *tab) write(selector, text string) {
	b.t.Helper()
	b.do(chromedp.Focus(chromedp.CSS(selector)))
	b.run("document.activeElement.select()")
	if text == "" {
		text = kb.Backspace
	}
	b.do(chromedp.KeyEvent(text))
}
