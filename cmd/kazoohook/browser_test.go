package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// browserPatience is how long a browser on a busy machine may take for what is not
// measured.
const browserPatience = 15 * time.Second

// tab is a page in a real browser, with what its console complained of.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	expected func(string) bool // complaints that the test provokes
	errors   []string
}

// newTab starts a browser of its own, or skips the test if there is none, which
// in CI is a failure.
func newTab(t *testing.T) *tab {
	t.Helper()
	path := browserPath()
	if path == "" {
		const missing = "no chromium found: apt-get install chromium"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	allocator, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.WSURLReadTimeout(time.Minute))...)
	t.Cleanup(stop)
	b := &tab{t: t}
	ctx, closeTab := chromedp.NewContext(allocator, chromedp.WithListener(b.listen), chromedp.WithErrorf(func(string, ...any) {
		// Messages of a newer browser than the protocol's description.
	}))
	t.Cleanup(closeTab)
	b.ctx = ctx
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
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

// expect lets complaints that hold one of texts pass from now on; none: no more.
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
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%v; the page says:\n%s\nits console: %q", err, b.text(), b.complaints())
	}
}

// until waits until a JavaScript expression is true and returns how long it took.
func (b *tab) until(what, expression string) time.Duration {
	b.t.Helper()
	begin := time.Now()
	for deadline := begin.Add(browserPatience); ; {
		if b.is(expression) {
			return time.Since(begin)
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s: still not after %s; the page says:\n%s\nits console: %q", what, browserPatience, b.text(), b.complaints())
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
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
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

// write puts text into an input, in place of what is there, as if it was typed.
func (b *tab) write(selector, text string) {
	b.t.Helper()
	b.do(chromedp.Focus(chromedp.CSS(selector)))
	b.run("document.activeElement.select()")
	if text == "" {
		text = kb.Backspace
	}
	b.do(chromedp.KeyEvent(text))
}
