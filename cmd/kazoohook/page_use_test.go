//go:build real

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"kazoohook/handlers"
	"kazoohook/internal/requests"
)

// newStageTab returns a browser that shows a stage in its ordinary state, after change.
func newStageTab(t *testing.T, change func(*stage, *stageState)) (*tab, *stage) {
	t.Helper()
	b, st := newTab(t), newStage(t)
	st.set(func(s *stageState) {
		ordinary(s, time.Now())
		if change != nil {
			change(st, s)
		}
	})
	b.look(1400, "light")
	b.do(chromedp.Navigate(st.url))
	b.until("the list is there", `document.querySelector(".row:not([hidden])") || document.querySelector("#login").open`)
	return b, st
}

// evaluate returns the value of a JavaScript expression, or of its promise.
func evaluate[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserLimit)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// focused returns what has the focus, and what is wrong with that.
const focused = `(() => {
  const e = document.activeElement;
  if (e === document.body) return ["", ""];
  e.scrollIntoView({ block: "nearest" });
  const name = e.tagName === "PRE" ? "PRE" : e.id || e.name || e.textContent.trim() || e.getAttribute("aria-label") || e.tagName;
  const box = e.getBoundingClientRect();
  const at = document.elementFromPoint(box.left + Math.min(box.width / 2, 40), box.top + Math.min(box.height / 2, 12));
  const s = getComputedStyle(e);
  const wrong = !e.checkVisibility() || box.width === 0 ? "can't be seen"
    : !(at && (e.contains(at) || at.contains(e) || e.labels?.[0]?.contains(at))) ? "is covered by " + at?.outerHTML.slice(0, 80)
    : s.outlineStyle === "none" && !e.classList.contains("detail") ? "doesn't show the focus" : "";
  return [name, wrong];
})()`

// TestPageTabOrder: the Tab key visits everything once, in reading order, and the
// focused element is visible. Nothing behind an open event or dialog gets the focus.
func TestPageTabOrder(t *testing.T) {
	t.Parallel()
	b, _ := newStageTab(t, func(_ *stage, s *stageState) {
		s.held, s.overview.Resync.AwaitingConfirm = heldList(time.Now(), 30), 30
	})
	b.until("what is held back is shown", `!document.querySelector("#held").hidden`)
	list := []string{"pause", "jump-to", "Jump", "export-csv", "export-ndjson", "event", "account", "object", "text", "source", "only", "Clear", "view"}
	whole := append([]string{"Skip to the events", "held-open", "held-list", "Last hour", "Last day", "The same as a table"}, append(list, "Replay…")...)
	detail := []string{"Close", "Only this event", "Only this account", "Only this object", "Copy as JSON", "Copy as curl"}
	for name, c := range map[string]struct {
		width int64
		do    string
		end   string // closes it
		want  []string
	}{
		"the page":        {1400, ``, ``, whole},
		"on a phone":      {360, ``, ``, whole},
		"an event beside": {1400, row("user.deleted") + `.click()`, `document.querySelector("#detail .close").click()`, append(append(append([]string{}, whole[:6]...), list...), append(detail, "PRE", "Replay…")...)},
		"an event over":   {360, row("user.deleted") + `.click()`, `document.querySelector("#detail .close").click()`, append([]string{"Skip to the events"}, append(detail, "PRE")...)},
		"a dialog":        {1400, `document.querySelector("#held-open").click()`, `document.querySelector("#confirm").close()`, []string{"confirm-number", "Cancel"}},
		"another dialog":  {360, `document.querySelector("#consumers button").click()`, `document.querySelector("#replay").close()`, []string{"replay-from", "Cancel", "Count"}},
	} {
		b.look(c.width, "light")
		b.run(`scrollTo(0, 0)`)
		if c.do != "" {
			b.run(c.do)
			b.until(name+": it is open", `document.querySelector("#detail pre")?.checkVisibility() || document.querySelector("dialog[open]")`)
		}
		if !strings.Contains(name, "dialog") { // a dialog sets the focus by itself
			b.run(`document.querySelector(".skip").focus()`)
		}
		var got []string
		for i := range 60 {
			if i > 0 {
				b.do(chromedp.KeyEvent(kb.Tab))
			}
			at := evaluate[[]string](b, focused)
			if at[1] != "" {
				t.Errorf("%s: %s %s", name, at[0], at[1])
			}
			if at[0] == "" || len(got) > 0 && at[0] == got[0] {
				break
			}
			got = append(got, at[0])
		}
		text := strings.NewReplacer("replay-cancel", "Cancel", "confirm-cancel", "Cancel", "replay-count", "Count", "✕", "Close").Replace(strings.Join(got, " | "))
		if want := strings.Join(c.want, " | "); text != want {
			t.Errorf("%s:\n got %s\nwant %s", name, text, want)
		}
		if c.end != "" {
			b.run(c.end)
		}
	}
}

// TestPageConfirms: held-back deletions are listed, confirmed by their number, and
// reported under the id of the list that was shown. Nothing is reported before that.
func TestPageConfirms(t *testing.T) {
	t.Parallel()
	b, st := newStageTab(t, func(_ *stage, s *stageState) {
		s.held, s.overview.Resync.AwaitingConfirm = heldList(time.Now(), 30), 30
		s.progress = make(chan struct{})
	})
	b.until("they are named", `[...document.querySelectorAll("#held-list td")].some(td => td.textContent === "Person 29")`)
	b.until("so does the title", `document.title === "⚠ 30 deletions held back · kazoohook"`)
	b.do(chromedp.Click(chromedp.CSS("#held-open")))
	b.until("it is asked for", `document.querySelector("#confirm").open && document.activeElement.id === "confirm-number"`)
	if what := evaluate[string](b, `document.querySelector("#confirm-what").textContent`); what != "15 mailbox messages, 15 users: Person 0, 00000000000000000000000000000001, \u2068"+longName+"\u2069, Person 3, Person 4 and 25 more." {
		t.Errorf("it asks about %q", what)
	}
	for _, text := range []string{"", "3", "300", "yes"} {
		b.write("#confirm-number", text)
		b.do(chromedp.KeyEvent(kb.Enter))
		if !b.is(`document.querySelector("#confirm-go").disabled`) {
			t.Errorf("%q confirms", text)
		}
	}
	if asked := st.get().confirmed; len(asked) > 0 {
		t.Fatalf("asked for before it was confirmed: %+v", asked)
	}
	// Another list replaces it while the person reads.
	shown := st.get().held
	st.set(func(s *stageState) { s.held = heldList(time.Now(), 31); s.held.ID = "another" })
	b.until("the list is drawn anew", `document.querySelector("#held-title").textContent.startsWith("31 ")`)
	b.write("#confirm-number", "30")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until("it is refused", `document.querySelector("#confirm-answer").textContent.includes("look at them again")`)
	b.do(chromedp.Click(chromedp.CSS("#confirm-cancel")))
	b.until("the focus is where it was", `document.activeElement.id === "held-open"`)
	b.do(chromedp.Click(chromedp.CSS("#held-open")))
	b.write("#confirm-number", "31")
	b.do(chromedp.Click(chromedp.CSS("#confirm-go")))
	b.until("it says how far it is", `document.querySelector("#confirm-answer").textContent === "Asking Kazoo: 12 objects listed…" && document.querySelector("#confirm-go").disabled`)
	close(st.get().progress)
	b.until("it is done", `document.querySelector("#confirm-answer").textContent === "31 deletions reported."`)
	b.until("nothing is held back any more", `document.querySelector("#held").hidden`)
	b.do(chromedp.Click(chromedp.CSS("#confirm-cancel")))
	b.until("the focus is at the events", `document.activeElement.id === "events"`)
	want := []handlers.ResyncRequest{{Confirm: true, Held: shown.ID}, {Confirm: true, Held: "another"}}
	if asked := st.get().confirmed; len(asked) != 2 || asked[0] != want[0] || asked[1] != want[1] {
		t.Errorf("asked for %+v", asked)
	}
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the browser complained: %q", c)
	}
}

// TestPageFilters: by source, by events not understood, and by duplicates. The filter
// is in the address and in the export.
func TestPageFilters(t *testing.T) {
	t.Parallel()
	b, st := newStageTab(t, func(st *stage, _ *stageState) {
		st.requests.Note(requests.Request{Seq: 3, Duplicate: true, Status: 200})
	})
	names := `[...document.querySelectorAll(".row:not([hidden])")].map(r => r.querySelector(".source").textContent + "/" + r.querySelector(".name").textContent)`
	choose(b, "source", "recovered")
	b.until("only recovered ones", names+`.length === 3 && `+names+`.every(n => n.startsWith("recovered/"))`)
	choose(b, "source", "")
	choose(b, "only", "unknown")
	b.until("only what was not understood", names+`.length === 2 && `+names+`.every(n => n.endsWith("/unknown"))`)
	b.until("it is in the address", `location.search === "?only=unknown" && document.querySelector("[name=event]").disabled`)
	choose(b, "only", "duplicate")
	b.until("only what came twice", names+`.join() === "delivered/callflow.deleted"`)
	st.requests.Note(requests.Request{Seq: 5, Duplicate: true, Status: 200})
	b.until("another duplicate is found", names+`.join() === "delivered/account.edited,delivered/callflow.deleted"`)
	b.do(chromedp.Reload())
	b.until("a reload keeps it", `document.querySelector("[name=only]").value === "duplicate" && `+names+`.length === 2`)

	dir := t.TempDir()
	if _, err := chromedp.Call(b.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: "allow", DownloadPath: dir}); err != nil {
		t.Fatal(err)
	}
	for format, want := range map[string]int{"csv": 3, "ndjson": 2} {
		b.do(chromedp.Click(chromedp.CSS("#export-" + format)))
		var saved []byte
		deadline := time.Now().Add(browserLimit)
		for len(saved) == 0 {
			if found, _ := filepath.Glob(filepath.Join(dir, "kazoohook-events-*."+format)); len(found) == 1 {
				var err error
				if saved, err = os.ReadFile(found[0]); err != nil {
					t.Fatal(err)
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("no %s was saved", format)
			}
			evaluate[bool](b, `new Promise(done => setTimeout(() => done(true), 20))`)
		}
		if n := strings.Count(string(saved), "\n"); n != want || !strings.Contains(string(saved), "callflow.deleted") {
			t.Errorf("%s has %d lines: %s", format, n, saved)
		}
	}
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the browser complained: %q", c)
	}
}

// TestPageMoments lists the forms in which a person may write a time.
func TestPageMoments(t *testing.T) {
	t.Parallel()
	b, _ := newStageTab(t, nil)
	moment := func(text string) string {
		return evaluate[string](b, fmt.Sprintf(`import(document.querySelector("script[type=module]").src.replace("main.js", "time.js")).then(m => {
			const at = m.moment(%q, new Date(2026, 10, 28, 15, 0, 0));
			return at ? [at.getFullYear(), at.getMonth() + 1, at.getDate(), at.getHours(), at.getMinutes(), at.getSeconds()].join(" ") : "none";
		})`, text))
	}
	for text, want := range map[string]string{
		"2h": "2026 11 28 13 0 0", "90m ago": "2026 11 28 13 30 0", "1d12h": "2026 11 27 3 0 0", "1w": "2026 11 21 15 0 0", "1.5h": "2026 11 28 13 30 0", " 30 s ": "2026 11 28 14 59 30",
		"14:30": "2026 11 28 14 30 0", "15:30": "2026 11 27 15 30 0", "7:05:09": "2026 11 28 7 5 9",
		"2026-01-31": "2026 1 31 0 0 0", "2026-01-31 14:30": "2026 1 31 14 30 0", "2026-01-31T14:30:05": "2026 1 31 14 30 5",
		"": "none", "x": "none", "25:00": "none", "14:60": "none", "2026-02-30": "none", "2026-13-01": "none", "2026-01-01 24:00": "none", "-2h": "none", "2": "none", "2y": "none", "999999999999w": "none",
	} {
		if got := moment(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestPageSays403: a page that may not ask shows the reason, and nothing else.
func TestPageSays403(t *testing.T) {
	t.Parallel()
	b, st := newTab(t), newStage(t)
	st.set(func(s *stageState) { ordinary(s, time.Now()) })
	b.expect("403")
	// The page itself needs no permission. Its requests do, for example under a host
	// name that the listener doesn't know.
	b.do(chromedp.Navigate(st.url))
	b.until("the list is there", row("user"))
	b.run(`const was = fetch; window.fetch = (u, o) => was(u, o).then(() => new Response(JSON.stringify({ title: "Forbidden", status: 403, detail: "Address the admin listener as localhost." }), { status: 403, headers: { "Content-Type": "application/problem+json" } }))`)
	b.until("it says so", `document.querySelector("#state-title").textContent === "Not allowed" && document.querySelector("#state-text").textContent === "Address the admin listener as localhost." && document.title.startsWith("⚠ Not allowed")`)
	for _, problem := range b.measure() {
		t.Error(problem)
	}
}

// TestPageRedelivers: an event goes once to the destination that a person chooses,
// after a second step, and the page shows the result.
func TestPageRedelivers(t *testing.T) {
	t.Parallel()
	b, st := newStageTab(t, func(_ *stage, s *stageState) {
		s.destinations = []handlers.Destination{{Name: "billing", Type: "http", State: "ok"}, {Name: "crm", Type: "http", State: "full"}, {Name: "late", Type: "http", State: "ok"}}
	})
	b.run(row("channel.create") + ".click()")
	b.until("it can be redelivered", `document.querySelector(".redeliver button")`)
	b.do(chromedp.Click(chromedp.CSS(".redeliver > button")))
	b.until("a destination is chosen", `document.activeElement.tagName === "SELECT" && document.querySelector(".again .primary").textContent === "Redeliver to billing"`)
	for _, problem := range b.measure() {
		t.Error(problem)
	}
	b.do(chromedp.Click(chromedp.CSS(".again .quiet")))
	b.until("it can be left", `document.querySelector(".again").hidden && document.activeElement.textContent === "Redeliver…"`)
	if asked := st.get().redelivered; len(asked) > 0 {
		t.Fatalf("redelivered without being asked: %+v", asked)
	}
	to := func(name, answer string) {
		b.do(chromedp.Click(chromedp.CSS(".redeliver > button")))
		b.run(fmt.Sprintf(`const s = document.querySelector(".again select"); s.value = %q; s.dispatchEvent(new Event("change"))`, name))
		b.do(chromedp.Click(chromedp.CSS(".again .primary")))
		b.until("it says "+answer, fmt.Sprintf(`document.querySelector(".redeliver [role=status]").textContent === %q && document.querySelector(".again").hidden`, answer))
	}
	to("billing", "It goes to billing again.")
	to("crm", "It doesn't go to crm: its body is no longer kept.")
	id := st.get().records[14].ID
	want := []handlers.RedeliverRequest{{Destination: "billing", EventID: id}, {Destination: "crm", EventID: id}}
	if asked := st.get().redelivered; len(asked) != 2 || asked[0] != want[0] || asked[1] != want[1] {
		t.Errorf("asked for %+v", asked)
	}
	b.expect("404")
	st.set(func(s *stageState) { s.destinations = s.destinations[:2] })
	b.do(chromedp.Click(chromedp.CSS(".redeliver > button")))
	b.run(`const s = document.querySelector(".again select"); s.value = "late"; s.dispatchEvent(new Event("change"))`)
	b.do(chromedp.Click(chromedp.CSS(".again .primary")))
	b.until("a failure is said", `document.querySelector(".redeliver [role=status]").textContent !== "" && !document.querySelector(".redeliver [role=status]").textContent.startsWith("It")`)
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the browser complained: %q", c)
	}
}
