//go:build real

package main

import (
	"fmt"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"golang.org/x/sync/errgroup"
)

// TestPage uses the page in a real browser as a person does, from the login to a
// restart of the receiver.
func TestPage(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	dir := t.TempDir()
	busyDay(t, dir, time.Now())
	s, _ := newPageScene(t, dir, "ADMIN_TOKEN="+pageToken)
	b.do(chromedp.EmulateViewport(1280, 900))

	b.expect("401") // the browser notes each refusal
	b.do(chromedp.Navigate(s.url()))
	b.until("the login is asked for", `document.querySelector("#login").open && document.querySelector("#app").hidden`)
	login := func(token string) {
		b.write("#token", token)
		b.do(chromedp.KeyEvent(kb.Enter))
	}
	login("not the token")
	b.until("a wrong token is refused", `document.querySelector("#login-error").textContent === "That is not the token." && document.querySelector("#app").hidden`)
	login(pageToken)
	b.until("the right token lets in", `!document.querySelector("#login").open && !document.querySelector("#app").hidden`)
	b.expect()
	if b.is(`document.cookie !== ""`) {
		t.Error("the page's scripts can read the session")
	}
	b.until("the hooks are registered", checked)
	b.until("the stream is open", `document.querySelector("#link").dataset.state === "live"`)

	step := func(name string, f func()) {
		t.Run(name, func(t *testing.T) {
			b.t, s.t = t, t
			f()
		})
		b.t, s.t = t, t
	}
	step("live", func() { pageLive(b, s) })
	step("hostile", func() { pageHostile(b, s) })
	step("filter and open", func() { pageFilter(b, s) })
	step("pause", func() { pagePause(b, s) })
	step("chart", func() {
		b.until("the chart counts", `document.querySelectorAll("#plot .part").length > 0 && document.querySelector("#plot svg").getAttribute("aria-label").includes("user")`)
	})
	step("replay", func() { pageReplay(b) })
	step("long", func() { pageLong(b, s) })
	step("jump", func() { pageJump(b) })
	step("narrow", func() { pageNarrow(b) })
	step("restart", func() { pageRestart(b, s) })
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the browser complained: %q", c)
	}
}

// checked is true once the page says that the hooks were checked. The users of the busy
// day don't exist in Kazoo. A comparison finds that sooner or later, and then the page
// says so.
const checked = `/^Connected to Kazoo$|deletions held back$/.test(document.querySelector("#state-title").textContent) && document.querySelector("#app").innerText.includes("as they should be")`

// pageLive: an event is shown soon after its delivery, without any action on the page.
// How soon depends on the machine's load.
func pageLive(b *tab, s *pageScene) {
	for i := range 3 {
		id := fmt.Sprintf("live%d", i)
		s.deliver("object", "id", id, "type", "user", "action", "doc_deleted")
		b.t.Logf("a delivered event was shown after %s", b.until("the event is shown", row(id)))
	}
	b.until("the state is said", checked)
	if !b.is(row("live0") + `.querySelector(".time").title.endsWith(" UTC")`) {
		b.t.Error("no UTC time on hover")
	}
}

// pageHostile: the content of an event is shown as text, whatever it looks like.
func pageHostile(b *tab, s *pageScene) {
	const script = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script><svg onload="window.hacked=1">`
	s.deliver("notifications", "event_category", "notification", "event_name", "new_user", "msg_id", "hostile", "first_name", script,
		"last_name", `"'</span>`, script, "javascript:alert(1)", "password", "hunter2-in-clear")
	b.until("the event is shown", row("<script>window.hacked=1"))
	b.run(row("<script>window.hacked=1") + ".click()")
	b.until("it opens", `document.querySelector("#detail pre")?.textContent.includes("onerror")`)
	if b.is(`window.hacked !== undefined || document.querySelector("main img, main script, #detail svg, [onerror]")`) {
		b.t.Error("markup of an event became part of the page")
	}
	if b.is(`document.documentElement.outerHTML.includes("hunter2")`) {
		b.t.Error("a password is shown")
	}
	b.do(chromedp.KeyEvent(kb.Escape))
	b.until("it closes", `document.querySelector("#detail").hidden && document.activeElement.id === "view"`)
	pageDirections(b, s)
}

// pageDirections: names can neither hide control characters nor change the direction of
// the text around them.
func pageDirections(b *tab, s *pageScene) {
	const name = "evil\u202etxt.exe\x1b[31m\u009b\x7f\u2066"
	s.deliver("channel_create", "hook_event", "channel_create", "call_id", "turned", "caller_id_name", name, "caller_id_number", "100",
		"callee_id_name", "\u05d0\u05d1\u05d2", "callee_id_number", "200", "timestamp", "63907712980")
	b.until("the event is shown", row("txt.exe"))
	what := row("txt.exe") + `.querySelector(".what")`
	if !b.is(what + `.textContent.includes("⟨U+202E⟩") && ` + what + `.textContent.includes("␛[31m⟨U+009B⟩␡⟨U+2066⟩")`) {
		b.t.Errorf("control characters are not shown: %s", b.text())
	}
	if !b.is(`getComputedStyle(` + what + `).unicodeBidi === "isolate"`) {
		b.t.Error("the cell's direction is not isolated")
	}
	// The caller is on the left of the arrow, and the Hebrew name stays in its place.
	if !b.is(what + `.textContent.match(/^\u2068.*\u2069 \(100\) → \u2068.*\u2069 \(200\)$/) !== null`) {
		b.t.Error("names are not isolated from each other")
	}
	b.run(row("txt.exe") + ".click()")
	b.until("it opens", `document.querySelector("#detail pre")`)
	if b.is(`/[\u202e\u2066\u001b\u009b\u007f]/.test(document.body.textContent)`) {
		b.t.Error("a control character is on the page")
	}
	if !b.is(`[...document.querySelectorAll("#detail dd")].every(d => d.querySelector("bdi, .hint, time") || getComputedStyle(d).unicodeBidi === "isolate")`) {
		b.t.Error("a field's direction is not isolated")
	}
	b.do(chromedp.KeyEvent(kb.Escape))
	b.until("it closes", `document.querySelector("#detail").hidden`)
}

// pageFilter: the filter finds one event of many, and Enter opens it.
func pageFilter(b *tab, s *pageScene) {
	s.deliver("object", "id", "feed", "type", "callflow", "action", "doc_edited", "name", "Reception")
	b.write("[name=event]", "callflow.*")
	b.until("only callflows are left", `[...document.querySelectorAll(".row:not([hidden]) .name")].map(n => n.textContent).join() === "callflow.edited"`)
	b.until("the stream is open", `document.querySelector("#link").dataset.state === "live"`)
	s.deliver("object", "id", "live-user", "type", "user", "action", "doc_created")
	s.deliver("object", "id", "live-flow", "type", "callflow", "action", "doc_created")
	b.until("the stream is filtered", row("live-flow"))
	if b.is(row("live-user")) {
		b.t.Error("an event that the filter leaves out is shown")
	}
	if !b.is(`location.search === "?event=callflow.*"`) {
		b.t.Error("the filter is not in the page's address")
	}
	b.do(chromedp.Focus(chromedp.CSS("#view")), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.Enter))
	b.until("Enter opens the second", `document.querySelector("#detail-title").textContent === "callflow.edited" && document.querySelector("#detail").textContent.includes("feed")`)
	b.until("it says how it was delivered", `document.querySelector("#detail").textContent.includes("127.0.0.1")`)
	b.do(chromedp.KeyEvent(kb.Escape))
	b.write("[name=event]", "")
	b.write("[name=text]", "NO SUCH TEXT")
	b.until("an empty list says what to do", `document.querySelector("#blank").textContent.includes("Clear the filter")`)
	b.do(chromedp.Click(chromedp.CSS("#blank button")))
	b.until("all are back", row("live-user"))
	b.until("the stream is open", `document.querySelector("#link").dataset.state === "live"`)
}

// pagePause: events that arrive while the list is paused are counted, then shown.
func pagePause(b *tab, s *pageScene) {
	b.do(chromedp.Click(chromedp.CSS("#pause")))
	for i := range 3 {
		s.deliver("object", "id", fmt.Sprintf("paused%d", i), "type", "user", "action", "doc_deleted")
	}
	b.until("what waits is counted", `document.querySelector("#pause").textContent.includes("3 waiting")`)
	if b.is(row("paused")) {
		b.t.Error("the list goes on while paused")
	}
	b.do(chromedp.Click(chromedp.CSS("#pause")))
	b.until("what waited is shown", row("paused0")+" && "+row("paused2"))
}

// pageReplay: the page shows the count, a person confirms, then the replay runs.
func pageReplay(b *tab) {
	b.until("the consumer is listed", `document.querySelector("#consumers button")`)
	b.run(`document.querySelector("#consumers button").click()`)
	if !b.is(`document.querySelector("#replay-go").hidden`) {
		b.t.Error("a replay can be started without having been counted")
	}
	b.write("#replay-from", "1")
	b.do(chromedp.Click(chromedp.CSS("#replay-count")))
	b.until("it is counted", `document.querySelector("#replay-answer").textContent.includes("would be handled again, from seq 1")`)
	b.do(chromedp.Click(chromedp.CSS("#replay-go")))
	b.until("it is done", `document.querySelector("#replay-answer").textContent.includes("are being handled again")`)
	b.do(chromedp.Click(chromedp.CSS("#replay-cancel")))
}

// pageLong: of thousands of events only the visible ones are elements, and the oldest
// can be reached.
func pageLong(b *tab, s *pageScene) {
	const many = 1500
	var g errgroup.Group
	g.SetLimit(32) // they share syncs of the disk
	for i := range many {
		g.Go(func() error { return s.append(i) })
	}
	if err := g.Wait(); err != nil {
		b.t.Fatal(err)
	}
	if err := s.append(many); err != nil {
		b.t.Fatal(err)
	}
	b.until("the newest is shown", row(fmt.Sprintf("many%d", many)))
	b.run(`document.querySelector("#to-live").click()`) // it starts again with one page
	b.until("one page is there", `document.querySelector("#count").textContent === "300+ events"`)
	b.until("scrolling reaches the oldest", `(view => { view.scrollTop = view.scrollHeight; return document.querySelector(".row:not([hidden])[data-seq='1']"); })(document.querySelector("#view"))`)
	if !b.is(`document.querySelectorAll(".row").length < 100`) {
		b.t.Error("there is an element for each event")
	}
	b.until("all are counted", `Number(document.querySelector("#count").textContent.replace(/\D/g, "")) > 1500`)
	b.run(`document.querySelector("#view").scrollTop = 0`)
	b.until("the newest is shown again", row(fmt.Sprintf("many%d", many)))
}

// pageJump: the list begins at a time in the past, and continues from there to now.
func pageJump(b *tab) {
	jump := func(hoursAgo int) {
		b.write("#jump-to", fmt.Sprintf("%dh", hoursAgo))
		b.do(chromedp.KeyEvent(kb.Enter))
	}
	shown := `[...document.querySelectorAll(".row:not([hidden])")].filter(r => { const at = r.getBoundingClientRect().top - document.querySelector("#view").getBoundingClientRect().top; return at > -2 && at < 30; })`
	jump(10)
	b.until("the first in sight is of that time", `(r => r.length > 0 && Math.abs(Date.parse(r[0].querySelector(".time").title.replace(" UTC", "Z").replace(" ", "T")) - (Date.now() - 36000000)) < 1800000)(`+shown+`)`)
	b.until("what is exported begins there", `document.querySelector("#export-csv").href.includes("until=") && document.querySelector("#export-csv").href.includes("format=csv")`)
	b.until("newer ones are above", `document.querySelector("#view").scrollTop > 3000 && document.querySelector("#link-text").textContent === "Looking at the past"`)
	b.until("scrolling up leads to now", `(() => { document.querySelector("#view").scrollTop = 0; return document.querySelector("#link").dataset.state === "live" && document.querySelector("#mode").hidden; })()`)
	jump(100)
	b.until("before the beginning there is nothing", `document.querySelector("#mode-text").textContent.includes("these are the oldest") && document.querySelector(".row:not([hidden])[data-seq='1']")`)
	b.do(chromedp.Click(chromedp.CSS("#to-live")))
	b.until("back to live", `document.querySelector("#link").dataset.state === "live" && document.querySelector("#mode").hidden`)
}

// pageNarrow: at the width of a small phone nothing is wider than the page.
func pageNarrow(b *tab) {
	b.do(chromedp.EmulateViewport(360, 740, chromedp.EmulateScale(2)))
	b.until("the rows are drawn anew", `document.querySelector(".row:not([hidden])").offsetHeight === 56`)
	b.until("the page is no wider than 360 px", `document.documentElement.scrollWidth <= 360`)
	b.run(`document.querySelector(".row:not([hidden])").click()`)
	b.until("an event fills the screen", `document.querySelector("#detail").getBoundingClientRect().width === 360 && document.querySelector("#detail pre")`)
	b.do(chromedp.Click(chromedp.CSS("#detail .close")), chromedp.EmulateViewport(1280, 900))
}

// pageRestart: the page says that it lost the receiver, and continues by itself.
func pageRestart(b *tab, s *pageScene) {
	b.expect("ERR_", "503") // the browser notes lost connections
	s.stop()
	b.until("the loss is said", `document.querySelector("#link").dataset.state === "lost" && document.querySelector("#state").dataset.state === "bad"`)
	s.start()
	s.deliver("object", "id", "after-restart", "type", "user", "action", "doc_deleted")
	b.until("the event is shown", row("after-restart"))
	b.until("the stream is open again", `document.querySelector("#link").dataset.state === "live"`)
	b.until("the receiver says how it is", checked)
	seqs := `[...document.querySelectorAll(".row:not([hidden])")].map(r => Number(r.dataset.seq)).sort((a, b) => b - a)`
	if !b.is(seqs + `.every((s, i, all) => i === 0 || s === all[i - 1] - 1)`) {
		b.t.Error("an event is missing or shown twice")
	}
	b.expect()
}

// TestPageBelowAPath: a proxy serves the page below a path. It works with and without
// stripping the path, and with and without X-Forwarded-Prefix.
func TestPageBelowAPath(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	s, _ := newPageScene(t, t.TempDir(), "ADMIN_TOKEN="+pageToken)
	s.stop()
	at, err := url.Parse(s.service.cfg.PublicURL.String() + "/ops")
	if err != nil {
		t.Fatal(err)
	}
	s.environ = append(s.environ, "PUBLIC_URL="+at.String()) // the path that one proxy doesn't send
	s.start()
	target, err := url.Parse(adminURL(s.service))
	if err != nil {
		t.Fatal(err)
	}
	s.deliver("object", "id", "below", "type", "user", "action", "doc_deleted")
	for name, c := range map[string]struct {
		strips, says bool
		visit        string
	}{
		"strips and says so": {true, true, "/ops/"}, "strips and says nothing": {true, false, "/ops/"},
		"says so and strips nothing": {false, true, "/ops/"}, "without the last slash": {false, true, "/ops"},
		"neither": {false, false, "/ops/"}, "neither, without the last slash": {false, false, "/ops"},
	} {
		proxy := serve(t, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			if c.says {
				r.Out.Header.Set("X-Forwarded-Prefix", "/ops")
			}
			if c.strips {
				r.Out.URL.Path = "/" + strings.TrimPrefix(strings.TrimPrefix(r.In.URL.Path, "/ops"), "/")
			}
		}, FlushInterval: -1})
		b.expect("401")
		b.do(chromedp.Navigate(proxy + c.visit))
		live := `document.querySelector("#link")?.dataset.state === "live"`
		b.until(name+": the page answers", `document.querySelector("#login")?.open || `+live)
		if !b.is(live) { // a session of one proxy may be valid for the next
			b.write("#token", pageToken)
			b.do(chromedp.KeyEvent(kb.Enter))
		}
		b.until(name+": the stream is open", `document.querySelector("#link").dataset.state === "live"`)
		b.until(name+": the event is shown", row("below"))
		b.run(row("below") + ".click()")
		b.until(name+": it opens", `document.querySelector("#detail pre")`)
		for _, format := range []string{"csv", "ndjson"} {
			if !evaluate[bool](b, `fetch(document.querySelector("#export-`+format+`").href).then(r => r.text()).then(text => text.includes("below"))`) {
				t.Errorf("%s: no export as %s", name, format)
			}
		}
		b.run(`document.querySelector("#detail .close").click()`)
		b.write("[name=event]", "user.*")
		b.until(name+": the filter is in the address", `location.href === `+fmt.Sprintf("%q", proxy+c.visit+"?event=user.*"))
	}
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the browser complained: %q", c)
	}
}

// TestPageSaysWhatReadyzSays: the page shows the reason in the same words, and nothing
// green beside it.
func TestPageSaysWhatReadyzSays(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	s, f := newPageScene(t, t.TempDir())
	b.do(chromedp.Navigate(s.url()))
	b.until("all is well", `document.querySelector("#state").dataset.state === "idle" && document.querySelector("#fact-hooks .below").textContent === "as they should be"`)
	ours := f.AccountID()
	for _, a := range slices.Backward(f.Accounts()) { // children first
		if err := f.DeleteAccount(a.ID); err != nil {
			t.Fatal(err)
		}
		if a.ID == ours {
			break
		}
	}
	b.until("the page says so", `document.querySelector("#state-title").textContent === "Not ready: Kazoo refuses the login: its account may be deleted, and nobody knows whether the hooks fire"`)
	b.until("with what to do and since when", `document.querySelector("#state-text").textContent.includes("Look whether the account and its user or API key still exist") && document.querySelector("#state-todo").textContent.startsWith("Since ")`)
	if b.is(`document.querySelector("#hooks .pill.good")`) || b.is(`document.querySelector("#fact-hooks").textContent.includes("as they should be")`) {
		t.Errorf("hooks nobody knows of are shown as good: %s", b.text())
	}
}
