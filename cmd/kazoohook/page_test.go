package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"golang.org/x/sync/errgroup"

	"kazoohook/config"
	"kazoohook/internal/crossbar/crossbartest"
	"kazoohook/internal/event"
)

// pageScene is the whole program beside a fake Kazoo: what the page is shown of.
type pageScene struct {
	t       *testing.T
	environ []string
	service *service
	stop    func()
}

const pageToken = "token-of-the-page-tests"

// newPageScene starts the fake Kazoo and the receiver, with its data in dir.
func newPageScene(t *testing.T, dir string, environ ...string) (*pageScene, *fake) {
	t.Helper()
	f, err := newFake(t.Context(), crossbartest.Options{Seed: 7}, "127.0.0.1:0", "127.0.0.1:0", 5)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	var addrs [2]string
	for i := range addrs {
		if addrs[i], err = freeAddr(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s := &pageScene{t: t, environ: append([]string{
		"KAZOO_API_URL=" + f.api, "KAZOO_USERNAME=" + crossbartest.DefaultUsername, "KAZOO_PASSWORD=" + crossbartest.DefaultPassword,
		"KAZOO_ACCOUNT_NAME=acme", "HOOKS=" + demoHooks, "INCLUDE_SUBACCOUNTS=true", "KAZOO_API_RATE=10", "RECONCILE_INTERVAL=1s",
		"PUBLIC_URL=http://" + addrs[0], "LISTEN_ADDR=" + addrs[0], "ADMIN_ADDR=" + addrs[1], "DATA_DIR=" + dir, "SHUTDOWN_TIMEOUT=2s",
	}, environ...)}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s, f
}

// start runs the receiver; started again it listens where it did before.
func (s *pageScene) start() {
	s.t.Helper()
	cfg, err := config.Load(config.Options{Need: config.All, Environ: s.environ})
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := (&env{}).newLogs(cfg, io.Discard)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.service, err = newService(s.t.Context(), cfg, l); err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.service.run(ctx) }()
	s.stop = func() {
		stop()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
		s.stop = func() {}
	}
}

func (s *pageScene) url() string { return adminURL(s.service) + "/" }

// deliver posts what Kazoo would.
func (s *pageScene) deliver(hook string, fields ...string) {
	s.t.Helper()
	form := url.Values{"account_id": {crossbartest.DefaultAccountID}}
	for pair := range slices.Chunk(fields, 2) {
		form.Set(pair[0], pair[1])
	}
	to := fmt.Sprintf("%s/kazoo/%s/%s", s.service.cfg.PublicURL, s.service.cfg.HookSecret.Reveal(), hook)
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("delivery answered %s", resp.Status)
	}
}

// row is a JavaScript expression: the line of the list that shows text.
func row(text string) string {
	return fmt.Sprintf("[...document.querySelectorAll('.row:not([hidden])')].find(r => r.textContent.includes(%q))", text)
}

// TestPage goes through the page as a person does, in a real browser, from the
// login to a restart of the receiver.
func TestPage(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	dir := t.TempDir()
	busyDay(t, dir, time.Now())
	s, _ := newPageScene(t, dir, "ADMIN_TOKEN="+pageToken)
	b.do(chromedp.EmulateViewport(1280, 900))

	b.expect("401") // the browser's own note of each refusal
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
	b.until("the hooks are registered", `document.querySelector("#hearing").dataset.state === "idle"`)
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

// pageLive: an event is to be seen within a second of its delivery. The machine
// may be busy with something else once, not three times.
func pageLive(b *tab, s *pageScene) {
	var took time.Duration
	for i := range 3 {
		id := fmt.Sprintf("live%d", i)
		s.deliver("object", "id", id, "type", "user", "action", "doc_deleted")
		if took = b.until("the event is shown", row(id)); took < time.Second {
			break
		}
	}
	if took > time.Second {
		b.t.Errorf("a delivered event was shown after %s", took)
	}
	b.until("the state is said", `document.querySelector("#hearing-title").textContent === "Hearing Kazoo"`)
	if !b.is(row("live0") + `.querySelector(".time").title.endsWith(" UTC")`) {
		b.t.Error("no UTC time on hover")
	}
}

// pageHostile: what an event holds is text, whatever it looks like.
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
}

// pageFilter: the filter finds one of many; Enter opens it.
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

// pagePause: what comes while the list stands still is counted, then shown.
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

// pageReplay: first the count, then the word of a person, then the replay.
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

// pageLong: of thousands of events only those in sight are elements, and the
// oldest can be reached.
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
	b.run(`document.querySelector("#to-live").click()`) // begins anew with one page
	b.until("one page is there", `document.querySelector("#count").textContent === "300+ events"`)
	b.until("scrolling reaches the oldest", `(view => { view.scrollTop = view.scrollHeight; return document.querySelector(".row:not([hidden])[data-seq='1']"); })(document.querySelector("#view"))`)
	if !b.is(`document.querySelectorAll(".row").length < 100`) {
		b.t.Error("there is an element for each event")
	}
	b.until("all are counted", `Number(document.querySelector("#count").textContent.replace(/\D/g, "")) > 1500`)
	b.run(`document.querySelector("#view").scrollTop = 0`)
	b.until("the newest is shown again", row(fmt.Sprintf("many%d", many)))
}

// pageJump: the list begins at a time in the past, and leads from there to now.
func pageJump(b *tab) {
	jump := func(hoursAgo int) {
		b.run(fmt.Sprintf(`const at = new Date(Date.now() - %d * 3600000 - new Date().getTimezoneOffset() * 60000);
			document.querySelector("#jump-to").value = at.toISOString().slice(0, 16);
			document.querySelector("#jump").requestSubmit()`, hoursAgo))
	}
	shown := `[...document.querySelectorAll(".row:not([hidden])")].filter(r => { const at = r.getBoundingClientRect().top - document.querySelector("#view").getBoundingClientRect().top; return at > -2 && at < 30; })`
	jump(10)
	b.until("the first in sight is of that time", `(r => r.length > 0 && Math.abs(Date.parse(r[0].querySelector(".time").title.replace(" UTC", "Z").replace(" ", "T")) - (Date.now() - 36000000)) < 1800000)(`+shown+`)`)
	b.until("newer ones are above", `document.querySelector("#view").scrollTop > 3000 && document.querySelector("#link-text").textContent === "Looking at the past"`)
	b.until("scrolling up leads to now", `(() => { document.querySelector("#view").scrollTop = 0; return document.querySelector("#link").dataset.state === "live" && document.querySelector("#mode").hidden; })()`)
	jump(100)
	b.until("before the beginning there is nothing", `document.querySelector("#mode-text").textContent.includes("these are the oldest") && document.querySelector(".row:not([hidden])[data-seq='1']")`)
	b.do(chromedp.Click(chromedp.CSS("#to-live")))
	b.until("back to live", `document.querySelector("#link").dataset.state === "live" && document.querySelector("#mode").hidden`)
}

// append keeps an event without a delivery.
func (s *pageScene) append(i int) error {
	r := event.Route(event.Delivery{Source: event.SourceWebhook, ReceivedAt: time.Now().UTC(), Hook: "object", Method: "POST",
		ContentType: "application/x-www-form-urlencoded", Body: fmt.Appendf(nil, "id=many%d&type=user&action=doc_created&account_id=a1", i)})
	a, err := s.service.journal.Append(s.t.Context(), r)
	if err == nil {
		s.service.journal.Acknowledged(r, a, true)
	}
	return err
}

// pageNarrow: at the width of a small phone nothing sticks out.
func pageNarrow(b *tab) {
	b.do(chromedp.EmulateViewport(360, 740, chromedp.EmulateScale(2)))
	b.until("the rows are drawn anew", `document.querySelector(".row:not([hidden])").offsetHeight === 56`)
	b.until("the page is no wider than 360 px", `document.documentElement.scrollWidth <= 360`)
	b.run(`document.querySelector(".row:not([hidden])").click()`)
	b.until("an event fills the screen", `document.querySelector("#detail").getBoundingClientRect().width === 360 && document.querySelector("#detail pre")`)
	b.do(chromedp.Click(chromedp.CSS("#detail .close")), chromedp.EmulateViewport(1280, 900))
}

// pageRestart: the page says that it lost the receiver, and goes on by itself
// where it was.
func pageRestart(b *tab, s *pageScene) {
	b.expect("ERR_", "503") // the browser's own notes of lost connections
	s.stop()
	b.until("the loss is said", `document.querySelector("#link").dataset.state === "lost" && document.querySelector("#hearing").dataset.state === "bad"`)
	s.start()
	s.deliver("object", "id", "after-restart", "type", "user", "action", "doc_deleted")
	b.until("the event is shown", row("after-restart"))
	b.until("all is well again", `document.querySelector("#hearing").dataset.state === "good"`)
	seqs := `[...document.querySelectorAll(".row:not([hidden])")].map(r => Number(r.dataset.seq)).sort((a, b) => b - a)`
	if !b.is(seqs + `.every((s, i, all) => i === 0 || s === all[i - 1] - 1)`) {
		b.t.Error("an event is missing or shown twice")
	}
	b.expect()
}
