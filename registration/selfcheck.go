package registration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// InstanceHeader is the header with which the public /healthz identifies the
// process: a random text, new at every start.
const InstanceHeader = "Kazoohook-Instance"

// SelfCheck requests our own /healthz through PUBLIC_URL, as Kazoo would, and
// checks which process answers. It finds the commonest failure: a receiver that is
// ready but can't be reached. It sees our side of the network; Kazoo's side may
// differ.
type SelfCheck struct {
	PublicURL string
	Instance  string       // the instance in our /healthz
	Client    *http.Client // must not follow redirects: Kazoo would lose the event
	Interval  time.Duration
	Log       zerolog.Logger
}

// NewSelfCheck returns a SelfCheck that probes every five minutes.
func NewSelfCheck(publicURL, instance string, log zerolog.Logger) *SelfCheck {
	return &SelfCheck{PublicURL: publicURL, Instance: instance, Interval: 5 * time.Minute, Log: log, Client: &http.Client{
		Timeout:       10 * time.Second,
		Transport:     &http.Transport{DisableKeepAlives: true, Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Run probes until ctx ends and logs changes of the result. After a failure it
// probes sooner.
func (s *SelfCheck) Run(ctx context.Context) error {
	before := "-"
	for {
		pause, result := s.Interval, ""
		if err := s.Once(ctx); err != nil {
			result, pause = err.Error(), min(time.Minute, s.Interval)
		}
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case result == before:
		case result == "":
			s.Log.Info().Str("public_url", s.PublicURL).Msg("self-check: PUBLIC_URL leads to this receiver")
		default:
			s.Log.Warn().Str("public_url", s.PublicURL).Msg("self-check: PUBLIC_URL does not lead to this receiver: " + result)
		}
		before = result
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// Once probes once. The error describes the problem for the operator.
func (s *SelfCheck) Once(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(s.PublicURL, "/")+"/healthz", http.NoBody)
	if err != nil {
		return errors.New("PUBLIC_URL is not valid")
	}
	resp, err := s.Client.Do(req)
	if err != nil {
		return fmt.Errorf("there is no answer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	switch got := resp.Header.Get(InstanceHeader); {
	case resp.StatusCode/100 == 3:
		return fmt.Errorf("a redirect (%d) answers: PUBLIC_URL must be the final address, or every event is lost", resp.StatusCode)
	case got == "":
		return fmt.Errorf("another program than kazoohook answers there (status %d)", resp.StatusCode)
	case got != s.Instance:
		return errors.New("another kazoohook process answers there")
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the answer has status %d", resp.StatusCode)
	}
	return nil
}
