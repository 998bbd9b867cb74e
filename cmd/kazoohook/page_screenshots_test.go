//go:build real

package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/rs/zerolog"

	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal"
)

// screenshotDir is where screenshots go, for people to look at.
const screenshotDir = "../../build/screenshots"

// TestPageScreenshots writes screenshots of the page after a busy day, light and dark,
// wide and narrow. It checks that nothing is wider than the page.
func TestPageScreenshots(t *testing.T) {
	t.Parallel()
	b := newTab(t)
	dir := t.TempDir()
	busyDay(t, dir, time.Now())
	s, f := newPageScene(t, dir)
	if err := os.MkdirAll(screenshotDir, 0o750); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(1440, 1000), chromedp.Navigate(s.url()))
	b.until("the hooks are registered", `["good", "idle"].includes(document.querySelector("#state").dataset.state)`)
	// One delivery fails while the receiver restarts; the page explains it.
	b.expect("ERR_", "503")
	s.stop()
	if err := f.SendText("acme", "Is anybody there?"); err != nil {
		t.Fatal(err)
	}
	s.start()
	b.until("what failed is explained", `!document.querySelector("#attempts").hidden`)
	f.Happen(25)
	b.until("events come in", `document.querySelector("#state").dataset.state === "good" && document.querySelectorAll(".row:not([hidden])").length > 10`)

	shoot := func(name, scheme string, width, height int64) {
		t.Helper()
		_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		b.do(chromedp.EmulateViewport(width, height))
		b.until("the chart is drawn anew", `Math.abs(document.querySelector("#plot svg").clientWidth - document.querySelector("#plot").clientWidth) <= 1`)
		if !b.is(`document.documentElement.scrollWidth <= innerWidth`) {
			t.Errorf("%s %s: something sticks out of the page", name, scheme)
		}
		ctx, cancel := context.WithTimeout(b.ctx, browserLimit)
		defer cancel()
		picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(screenshotDir, fmt.Sprintf("%s-%s.png", name, scheme)), picture, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, scheme := range []string{"light", "dark"} {
		b.do(chromedp.Click(chromedp.CSS(`[data-span="24h"]`)))
		b.until("the day is counted", `document.querySelector("#plot svg").getAttribute("aria-label").includes("last day") && !document.querySelector("#chart-total").textContent.includes("counting")`)
		shoot("wide", scheme, 1440, 1060)
		b.run(`scrollTo(0, document.body.scrollHeight)`)
		shoot("wide-below", scheme, 1440, 1060)
		b.run(`scrollTo(0, 0)`)
		shoot("narrow", scheme, 360, 1700)
		b.run(row("channel.") + ".click()")
		b.until("an event is open", `document.querySelector("#detail pre")`)
		shoot("narrow-open", scheme, 360, 900)
		shoot("wide-open", scheme, 1440, 1060)
		b.run(`document.querySelector("#detail .close").click()`)
	}
	b.expect("ERR_", "503")
	s.stop()
	b.until("the loss is said", `document.querySelector("#state").dataset.state === "bad"`)
	shoot("trouble", "light", 1440, 700)
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the browser complained: %q", c)
	}
}

// busyDay fills a journal with a day's events: few at night, most in the late morning,
// a break at noon.
func busyDay(t *testing.T, dir string, now time.Time) {
	t.Helper()
	at := now.Add(-24 * time.Hour)
	j, err := journal.Open(t.Context(), journal.Options{Dir: dir, Log: zerolog.Nop(), Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same day every time
	for i := 0; ; i++ {
		away := now.Sub(at).Hours()
		rate := 0.25 + math.Exp(-math.Pow(away-3, 2)/8) + 1.2*math.Exp(-math.Pow(away-8, 2)/6)
		if away < 0.8 { // enough for the chart of the last hour
			rate = 2
		}
		at = at.Add(time.Duration(random.ExpFloat64() / rate * 45 * float64(time.Second)))
		if at.After(now.Add(-20 * time.Second)) {
			break
		}
		r := event.Route(busyEvent(random, i, at))
		a, err := j.Append(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		j.Acknowledged(r, a, true)
	}
	last, err := j.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, consumer := range []string{logConsumer, "snapshot"} { // the consumers have handled the day
		if err := j.MoveCursor(t.Context(), consumer, 0, last); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func busyEvent(random *rand.Rand, i int, at time.Time) event.Request {
	one := func(of ...string) string { return of[random.IntN(len(of))] }
	first := one("Ann", "Ben", "Chloé", "Dmitri", "Eva", "Farid", "Grace", "Hiro")
	last := one("Adams", "Brown", "Fischer", "Nováková", "Okafor", "Rossi", "Sato")
	number := fmt.Sprintf("+1555%07d", random.IntN(1e7))
	body := url.Values{"account_id": {fakekazoo.DefaultAccountID}, "cluster_id": {fakekazoo.DefaultClusterID}}
	d := event.Request{Source: event.SourceWebhook, ReceivedAt: at.UTC(), Method: "POST", ContentType: "application/x-www-form-urlencoded", RemoteAddr: "203.0.113.7"}
	id := fmt.Sprintf("%032x", 0xabcdef00+i)
	switch dice := random.IntN(100); {
	case dice < 62:
		name := one("create", "create", "answer", "destroy", "destroy")
		d.Hook = "channel_" + name
		body.Set("hook_event", d.Hook)
		body.Set("call_id", id[:16]+"@10.0.0.7")
		body.Set("caller_id_name", first+" "+last)
		body.Set("caller_id_number", number)
		body.Set("callee_id_number", fmt.Sprint(1000+random.IntN(99)))
		body.Set("timestamp", fmt.Sprint(at.Unix()+62167219200))
	case dice < 80:
		d.Hook = "notifications"
		body.Set("event_category", "notification")
		body.Set("event_name", one("voicemail_new", "missed_call", "inbound_fax"))
		body.Set("msg_id", id)
		body.Set("caller_id_number", number)
		body.Set("to_user", fmt.Sprint(1000+random.IntN(99)))
	case dice < 88:
		d.Hook = "sms"
		body.Set("type", "sms")
		body.Set("id", id)
		body.Set("from", number)
		body.Set("to", fmt.Sprintf("+1555%07d", random.IntN(1e7)))
		body.Set("body", one("On my way", "Running late, sorry", "Call me back?", "See you at 3"))
	default:
		d.Hook = "object"
		body.Set("id", id)
		body.Set("type", one("user", "user", "device"))
		body.Set("action", one("doc_created", "doc_edited", "doc_edited", "doc_deleted"))
		body.Set("name", first+" "+last)
		if random.IntN(30) == 0 {
			d.Source = event.SourceRecovered
			d.Firing = event.Firing{ID: id[:10], First: at.UTC(), Last: at.UTC()}
		}
	}
	d.Body = []byte(body.Encode())
	return d
}
