package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"kazoohook/internal/event"
)

func (h *harness) rates(span string) Rates {
	h.t.Helper()
	got := h.get("/api/rates?span=" + span)
	var r Rates
	if err := json.Unmarshal([]byte(got.body), &r); err != nil || got.status != 200 {
		h.t.Fatalf("%d %s: %v", got.status, got.body, err)
	}
	return r
}

func TestRates(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 12, 30, 30, 0, time.UTC)
	h := newHarness(t, func(d *testDeps) { d.Now = func() time.Time { return now } })
	add := func(ago time.Duration, name string, n int) {
		for range n {
			h.journal.add(event.Record{Event: name, Request: event.Request{ReceivedAt: now.Add(-ago)}})
		}
	}
	if r := h.rates("1h"); r.Total != 0 || !r.Complete || len(r.Families) != 0 {
		t.Errorf("nothing happened: %+v", r)
	}
	add(30*time.Hour, "user.created", 5) // too old
	add(5*time.Hour, "user.deleted", 300)
	add(10*time.Minute, "channel.create", 2)
	add(10*time.Minute, "user.edited", 1)
	add(20*time.Hour, "user.deleted", 4) // recovered: older than its place
	add(0, "channel.destroy", 7)

	hour := h.rates("1h")
	if hour.Total != 10 || hour.StepSeconds != 60 || !hour.Complete || !hour.To.Equal(now.Truncate(time.Minute).Add(time.Minute)) {
		t.Errorf("hour %+v", hour)
	}
	if f := hour.Families[0]; f.Family != "channel" || f.Total != 9 || len(f.Counts) != 60 || f.Counts[59] != 7 || f.Counts[49] != 2 {
		t.Errorf("channel %+v", f)
	}
	day := h.rates("24h")
	if day.Total != 314 || day.StepSeconds != 600 || len(day.Families[0].Counts) != 144 || day.Families[0].Family != "user" {
		t.Errorf("day %+v", day)
	}

	add(0, "sms", 1)
	now = now.Add(2 * time.Minute)
	if r := h.rates("1h"); r.Total != 11 || r.Families[0].Counts[57] != 7 {
		t.Errorf("two minutes later %+v", r)
	}
	if got := h.get("/api/rates?span=1y"); got.status != 400 {
		t.Errorf("a year: %+v", got)
	}
}

// TestRatesBounded: names of families come from outside, so their number is bounded.
func TestRatesBounded(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for i := range 200 {
		h.journal.add(event.Record{Event: fmt.Sprintf("type%d.created", i), Request: event.Request{ReceivedAt: time.Now()}})
	}
	r := h.rates("1h")
	if r.Total != 200 || len(r.Families) != maxFamilies+1 || r.Families[0].Family != otherFamily {
		t.Errorf("%d families, the first %+v", len(r.Families), r.Families[0])
	}
}

// slowHistory takes time for each page, as a large journal does.
type slowHistory struct {
	History
}

func (s slowHistory) Query(ctx context.Context, q event.Query) ([]event.Record, int64, error) {
	timer := time.NewTimer(ratesWork / 2)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	return s.History.Query(ctx, q)
}

// TestRatesStepByStep: a day with many events is counted over several answers, the
// newest events first, and each answer says how far it is.
func TestRatesStepByStep(t *testing.T) {
	t.Parallel()
	now := time.Now()
	h := newHarness(t, func(d *testDeps) { d.History = slowHistory{History: d.History} })
	const events = 10 * ratesPage
	for i := range events {
		h.journal.add(event.Record{Event: "user.edited", Request: event.Request{ReceivedAt: now.Add(-20*time.Hour + time.Duration(i)*20*time.Hour/events)}})
	}
	first := h.rates("24h")
	if first.Complete || first.Total == 0 || first.Total == events || !first.CompleteFrom.After(first.From) {
		t.Errorf("first answer: complete %v, total %d, from %s", first.Complete, first.Total, first.CompleteFrom)
	}
	for i := 0; ; i++ {
		r := h.rates("24h")
		if r.Complete {
			if r.Total != events {
				t.Errorf("counted %d", r.Total)
			}
			return
		}
		if i > events/ratesPage {
			t.Fatalf("after %d answers still not complete", i)
		}
	}
}

// TestRatesFail: an error is reported, and the events are counted later.
func TestRatesFail(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	h := newHarness(t)
	h.journal.add(event.Record{Event: "sms", Request: event.Request{ReceivedAt: time.Now()}})
	h.journal.setQuery(func(event.Query) error { return broken })
	isProblem(t, h.get("/api/rates"), 500)
	h.journal.setQuery(nil)
	if r := h.rates("1h"); r.Total != 1 {
		t.Errorf("%+v", r)
	}
}
