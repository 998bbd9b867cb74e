package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"kazoohook/internal/delivery"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// Onward has the rate of deliveries to a local receiver, and the ratio to a bare Go
// client that posts bodies of the same size to it.
type Onward struct {
	Concurrency   int    `json:"concurrency"`
	PerSecond     Spread `json:"per_second"`
	BarePerSecond Spread `json:"bare_per_second"`
	OfBare        Spread `json:"of_bare"` // ratio within each round
}

// OnwardDelay has the times from a request to its first attempt, at a fixed rate.
type OnwardDelay struct {
	PerSecond float64 `json:"per_second"`
	P50Micros Spread  `json:"p50_us"`
	P99Micros Spread  `json:"p99_us"`
	P99OfSync Spread  `json:"p99_of_sync"` // to a page's write and sync; ratio within each round
}

// onward measures deliveries by this process to a receiver in another one.
func (m *measurer) onward(ctx context.Context) (err error) {
	sink, err := m.startChild(ctx, bare, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.stop()) }()
	url := "http://" + sink.addr + "/kazoo/any/thing"
	dir, err := m.fresh()
	if err != nil {
		return err
	}
	const perMilli = 10 // events for each millisecond of a measurement: enough for all of it
	a := archive{events: max(1000, m.o.Span.Milliseconds()*perMilli), start: time.Now().Add(-time.Hour)}
	if err := a.fill(ctx, dir); err != nil {
		return err
	}
	j, err := journal.Open(ctx, journal.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	rates := map[int][][2]float64{} // delivered and bare
	var delays []delayRound
	for round := range m.o.Rounds {
		for _, c := range []int{1, 8, 64} {
			m.o.progress(fmt.Sprintf("delivering onward, %d at once", c))
			plain, err := postBare(ctx, url, c, m.o.Span)
			if err != nil {
				return err
			}
			stop, err := profile(m.o.Profile, fmt.Sprintf("onward-%d-%d", c, round))
			if err != nil {
				return err
			}
			n, took, err := deliverAll(ctx, j, fmt.Sprintf("d%d-%d", round, c), url, c, a.events)
			if err := errors.Join(err, stop()); err != nil {
				return err
			}
			rates[c] = append(rates[c], [2]float64{float64(n) / took.Seconds(), plain})
		}
		d, err := m.delay(ctx, j, fmt.Sprintf("delay%d", round), url)
		if err != nil {
			return err
		}
		delays = append(delays, d)
	}
	for _, c := range []int{1, 8, 64} {
		of := func(i int) func([2]float64) float64 { return func(r [2]float64) float64 { return r[i] } }
		m.report.Onward = append(m.report.Onward, Onward{
			c, over(rates[c], of(0)), over(rates[c], of(1)), over(rates[c], func(r [2]float64) float64 { return r[0] / r[1] }),
		})
	}
	m.report.OnwardDelay = append(m.report.OnwardDelay, OnwardDelay{
		delayRate, over(delays, func(d delayRound) float64 { return d.p50 }), over(delays, func(d delayRound) float64 { return d.p99 }),
		over(delays, func(d delayRound) float64 { return d.p99 / d.sync }),
	})
	return nil
}

// postBare posts bodies of an event's size over several connections and returns the
// rate a second. Each connection sends at least one.
func postBare(ctx context.Context, url string, c int, span time.Duration) (float64, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: c}}
	defer client.CloseIdleConnections()
	body := bytes.Repeat([]byte("x"), 600)
	var n atomic.Int64
	start := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for range c {
		g.Go(func() error {
			for sent := false; !sent || time.Since(start) < span; sent = true {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
				if err != nil {
					return err
				}
				req.Header.Set("Content-Type", "application/json")
				resp, err := client.Do(req)
				if err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, resp.Body)
				if err := errors.Join(err, resp.Body.Close()); err != nil {
					return err
				}
				n.Add(1)
			}
			return nil
		})
	}
	err := g.Wait()
	return float64(n.Load()) / time.Since(start).Seconds(), err
}

// withEngine runs an engine with one destination; tried is called with each
// message and its result.
func withEngine(ctx context.Context, j *journal.Journal, s delivery.Settings, tried func(*delivery.Message, delivery.Result), do func() error) error {
	d, problems := delivery.Compile(s)
	if len(problems) > 0 {
		return problems[0].Err
	}
	e, err := delivery.New(ctx, delivery.Options{Journal: j, Trace: func(ctx context.Context, m *delivery.Message) (context.Context, func(delivery.Result)) {
		return ctx, func(r delivery.Result) { tried(m, r) }
	}})
	if err != nil {
		return err
	}
	if err := e.Set(ctx, []*delivery.Destination{d}); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	err = do()
	stop()
	return errors.Join(err, <-ended)
}

func onwardSettings(name, url string, c int, start delivery.Start) delivery.Settings {
	return delivery.Settings{
		Name: name, Type: delivery.TypeHTTP, Concurrency: c, Start: start,
		HTTP: &delivery.HTTPSettings{URL: url, Keys: []delivery.Key{delivery.Key("0123456789abcdef0123456789abcdef")}},
	}
}

// deliverAll delivers all events that the journal was filled with.
func deliverAll(ctx context.Context, j *journal.Journal, name, url string, c int, events int64) (n int64, took time.Duration, err error) {
	var done atomic.Int64
	all := make(chan struct{})
	var failed atomic.Pointer[error]
	tried := func(_ *delivery.Message, r delivery.Result) {
		if r.Err != nil {
			failed.Store(&r.Err)
		} else if done.Add(1) == events {
			close(all)
		}
	}
	start := time.Now()
	err = withEngine(ctx, j, onwardSettings(name, url, c, delivery.Start{Beginning: true}), tried, func() error {
		select {
		case <-all:
			took = time.Since(start)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * waitLimit):
			return fmt.Errorf("only %d of %d events were delivered", done.Load(), events)
		}
	})
	if err == nil && failed.Load() != nil {
		err = *failed.Load()
	}
	return events, took, err
}

type delayRound struct{ p50, p99, sync float64 } // µs

const delayRate = 200

// delay measures the time from a request to its first attempt.
func (m *measurer) delay(ctx context.Context, j *journal.Journal, name, url string) (r delayRound, err error) {
	m.o.progress("from request to first attempt")
	var mu sync.Mutex
	var times []time.Duration
	tried := func(msg *delivery.Message, _ delivery.Result) {
		mu.Lock()
		defer mu.Unlock()
		times = append(times, msg.At.Sub(msg.Received))
	}
	n := int(m.o.Span.Seconds() * delayRate)
	err = withEngine(ctx, j, onwardSettings(name, url, 8, delivery.Start{}), tried, func() error {
		tick := time.NewTicker(time.Second / delayRate)
		defer tick.Stop()
		for range n {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			rec := event.Route(event.Request{
				Source: event.SourceWebhook, ReceivedAt: time.Now(), Hook: "object", HookID: hookID, Method: http.MethodPost,
				ContentType: "application/x-www-form-urlencoded", Body: []byte(objectBody(m.next.Add(1) + 1<<40)),
			})
			a, err := j.Append(ctx, rec)
			if err != nil {
				return err
			}
			j.Acknowledged(rec, a, true)
		}
		for end := time.Now().Add(waitLimit); time.Now().Before(end); time.Sleep(time.Millisecond) {
			mu.Lock()
			got := len(times)
			mu.Unlock()
			if got >= n {
				return nil
			}
		}
		return errors.New("not every event was delivered within " + waitLimit.String())
	})
	if err != nil {
		return r, err
	}
	s, err := syncTime(m.base, syncSamples, time.Second/delayRate)
	slices.Sort(times)
	return delayRound{micros(quantile(times, 0.5)), micros(quantile(times, 0.99)), micros(s)}, err
}

// backlog measures the program's memory while every event of a large journal waits
// for a destination that is down, and while the destination catches up.
func (m *measurer) backlog(ctx context.Context) (err error) {
	n := m.o.Events[len(m.o.Events)-1]
	a, err := m.archive(ctx, n)
	if err != nil {
		return err
	}
	sink, err := m.startChild(ctx, bare, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.stop()) }()
	for _, s := range []struct{ name, url string }{
		{fmt.Sprintf("%d events wait for a destination that is away", n), "http://127.0.0.1:1/"},
		{fmt.Sprintf("%d events wait, and the destination catches up", n), "http://" + sink.addr + "/kazoo/any/thing"},
	} {
		m.o.progress("memory, " + s.name)
		dir, err := m.fresh()
		if err != nil {
			return err
		}
		if err := os.CopyFS(dir, os.DirFS(a.dir)); err != nil {
			return err
		}
		config := filepath.Join(m.base, "destinations.yaml")
		text := fmt.Sprintf("destinations: {d: {type: http, url: %q, start: beginning, concurrency: 64}}\n", s.url)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return err
		}
		var peak float64
		err = m.withProgram(ctx, dir, func(p *program) error {
			err := pause(ctx, 2*m.o.Span)
			_, peak = residentMB(p.cmd.Process.Pid)
			return err
		}, "KAZOOHOOK_CONFIG="+config)
		if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		m.report.Memory = append(m.report.Memory, Memory{Situation: s.name, PeakMB: spreadOf([]float64{peak})})
	}
	return nil
}
