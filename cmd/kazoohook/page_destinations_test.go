//go:build real

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestPageDestinations finds a dead letter in its card and its event, redelivers it,
// and pauses and resumes the destination.
func TestPageDestinations(t *testing.T) {
	t.Parallel()
	r := newRecipient(t)
	r.set(func(event map[string]any) int {
		if event["object_id"] == userID(1) {
			return http.StatusUnprocessableEntity
		}
		return 0
	})
	file := filepath.Join(t.TempDir(), "x.yaml")
	put(t, file, "destinations: {billing: {type: http, url: 'http://"+r.addr+"', secret: "+onwardKey+", events: [user.deleted], retry: "+fast+"}}")
	s, _ := newPageScene(t, t.TempDir(), "KAZOOHOOK_CONFIG="+file)
	b := newTab(t)
	b.do(chromedp.EmulateViewport(1400, 1200), chromedp.Navigate(s.url()))
	b.until("the card is there", "document.querySelector('[data-destination=billing] .pill')?.textContent === 'ok'")
	for n, next := range []int{1, 2, 3} {
		s.deliver("object", "id", userID(next), "action", "doc_deleted", "type", "user")
		if n == 0 {
			b.until("an attempt has failed", "document.querySelector('[data-destination=billing]').textContent.includes('422')")
		}
	}
	for n := 4; ; n++ { // an event becomes a dead letter only after another was accepted
		list, err := s.service.destinationStates(t.Context())
		if err != nil || n == 1000 {
			t.Fatalf("%v, %+v", err, list)
		}
		if list[0].Dead == 1 {
			break
		}
		s.deliver("object", "id", userID(n), "action", "doc_deleted", "type", "user")
		<-time.After(100 * time.Millisecond)
	}
	b.until("the card says so", "document.querySelector('[data-destination=billing] summary')?.textContent === '1 dead letter'")
	b.run("document.querySelector('[data-destination=billing] summary').click()")
	b.until("the letter is shown", "document.querySelector('[data-destination=billing] .lines')?.textContent.includes('user.deleted')")
	if dir := os.Getenv("SCREENSHOTS"); dir != "" {
		for _, c := range []struct {
			name  string
			width int64
		}{{"wide", 1400}, {"middle", 768}, {"narrow", 360}} {
			b.do(chromedp.EmulateViewport(c.width, 1200))
			b.run("document.getElementById('destinations').scrollIntoView()")
			picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(dir, c.name+".png"), string(picture))
		}
		b.do(chromedp.EmulateViewport(1400, 1200))
	}
	b.until("nothing runs over", "document.documentElement.scrollWidth <= innerWidth")
	b.write("#filters [name=object]", userID(1))
	b.until("its event is listed", row(userID(1)))
	b.run(row(userID(1)) + ".click()")
	b.until("an event is open", "!document.getElementById('detail').hidden")
	b.until("its deliveries are there", "document.querySelector('#detail .deliveries:not([hidden])')?.textContent.includes('dead letter')")
	if n := "document.querySelectorAll('#detail .attempts li').length"; !b.is(n + " >= 4") {
		t.Error("not each attempt is shown")
	}
	b.run("document.querySelector('#detail .close').click()")
	r.set(nil)
	b.run("document.querySelector('[data-destination=billing] .lines button').click()")
	b.until("it says so", "document.querySelector('[data-destination=billing]').textContent.includes('1 event is delivered again')")
	b.until("no letter is left", "!document.querySelector('[data-destination=billing] summary')")
	b.run("document.querySelector('[data-act=\"pause billing\"]').click()")
	b.until("it is paused", "document.querySelector('[data-destination=billing]').textContent.includes('Paused by a person')")
	b.run("document.querySelector('[data-act=\"resume billing\"]').click()")
	b.until("it goes on", "document.querySelector('[data-destination=billing] .pill').textContent === 'ok'")
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the console: %s", strings.Join(c, "\n"))
	}
}
