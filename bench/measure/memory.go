package measure

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Memory is the receiver's peak resident memory in a situation.
type Memory struct {
	Situation string `json:"situation"`
	PeakMB    Spread `json:"peak_mb"`
	OfIdle    Spread `json:"of_idle"` // ratio within each round
}

// memory drives the real program on the largest journal.
func (m *measurer) memory(ctx context.Context) error {
	n := m.o.Events[len(m.o.Events)-1]
	a, err := m.archive(ctx, n)
	if err != nil {
		return err
	}
	conns := m.o.Conns[len(m.o.Conns)-1]
	queried := min(n, 1_000_000)
	situations := []struct {
		name string
		do   func(context.Context, *program) error
	}{
		{"idle", func(ctx context.Context, _ *program) error { return pause(ctx, m.o.Span/2) }},
		{fmt.Sprintf("a query of %d events", queried), func(ctx context.Context, p *program) error { return p.queryAll(ctx, n, queried) }},
		{fmt.Sprintf("%d live streams, an event a millisecond", m.o.Streams), func(ctx context.Context, p *program) error { return m.stream(ctx, p) }},
		{fmt.Sprintf("%d connections at full load", conns), func(ctx context.Context, p *program) error {
			_, err := closedLoop(ctx, p.public, conns, m.o.Span, &m.next)
			return err
		}},
	}
	peaks := make([][]float64, len(situations))
	for range m.o.Rounds {
		for i, s := range situations { // each in a process of its own, because memory is returned slowly
			m.o.progress("memory, " + s.name)
			dir := a.dir
			if i > 1 { // a situation that changes the journal gets a copy
				if dir, err = m.fresh(); err != nil {
					return err
				}
			}
			err := m.withProgram(ctx, dir, func(p *program) error {
				forgetPeak(p.cmd.Process.Pid)
				if err := s.do(ctx, p); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				_, peak := residentMB(p.cmd.Process.Pid)
				peaks[i] = append(peaks[i], peak)
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	self := func(f float64) float64 { return f }
	for i, s := range situations {
		m.report.Memory = append(m.report.Memory, Memory{s.name, over(append([]float64(nil), peaks[i]...), self), ratios(peaks[i], peaks[0], self)})
	}
	return nil
}

// queryAll reads events through the API, newest first, with the largest possible
// answers.
func (p *program) queryAll(ctx context.Context, last, n int64) error {
	const most = 100_000
	for read := int64(0); read < n; read += most {
		url := fmt.Sprintf("http://%s/api/events?format=ndjson&limit=%d&before=%d", p.admin, min(most, n-read), last+1-read)
		size, err := fetch(ctx, url, discard{})
		if err != nil {
			return err
		}
		if size < 100*min(most, n-read) {
			return fmt.Errorf("only %d bytes of events", size)
		}
	}
	return nil
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// stream follows the journal from many clients while events come.
func (m *measurer) stream(ctx context.Context, p *program) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seen := make(chan error, m.o.Streams)
	for range m.o.Streams {
		if err := p.follow(ctx, seen); err != nil {
			return err
		}
	}
	if _, err := openLoop(ctx, p.public, 4, 1000, m.o.Span, &m.next); err != nil {
		return err
	}
	for left, end := m.o.Streams, time.Now().Add(waitLimit); left > 0; {
		select {
		case err := <-seen:
			if err != nil {
				return err
			}
			left--
		case <-time.After(time.Second): // a stream may have begun after the events
			if time.Now().After(end) {
				return errors.New("a stream shows no event")
			}
			if _, err := openLoop(ctx, p.public, 1, 10, time.Second, &m.next); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow opens a stream that ends with ctx, and reports on seen when it shows an event.
func (p *program) follow(ctx context.Context, seen chan<- error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+"/api/events/stream", http.NoBody)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{}} // a connection of its own
	resp, err := client.Do(req)                          //nolint:bodyclose // closed below, in another goroutine
	if err != nil {
		return err
	}
	go func() {
		defer func() { _ = resp.Body.Close() }() // it was cut off
		lines, shown := bufio.NewScanner(resp.Body), false
		for lines.Scan() {
			if !shown && len(lines.Bytes()) > 100 { // no heartbeat
				shown = true
				seen <- nil
			}
		}
		if !shown {
			seen <- errors.Join(errors.New("a stream ended without an event"), lines.Err())
		}
	}()
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
