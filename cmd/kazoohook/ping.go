package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/rs/zerolog"

	"kazoohook/config"
	"kazoohook/internal/delivery"
)

// pingCmd sends a test message to a destination.
type pingCmd struct {
	Name string `arg:"" help:"The destination."`
	settings
}

// pingEvent is the event's name in a test message. No journal holds such an event.
const pingEvent = "kazoohook.ping"

// Run makes one attempt, from this process instead of the service, and prints the
// answer.
func (c *pingCmd) Run(ctx context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	d, err := configured(cfg, c.Name)
	if err != nil {
		return err
	}
	compiled, problems := delivery.Compile(deliverySettings(d))
	if problems != nil {
		return problems[0].Err
	}
	sender, err := delivery.NewSender(compiled, senderOptions(zerolog.Nop()))
	if err != nil {
		return err
	}
	m, err := pingMessage(compiled)
	if err != nil {
		return errors.Join(err, sender.Close())
	}
	attempt, cancel := context.WithTimeout(ctx, compiled.Timeout)
	defer cancel()
	began := time.Now()
	res := sender.Send(attempt, m)
	took := time.Since(began).Round(time.Millisecond)
	if err := sender.Close(); err != nil && res.Err == nil {
		res.Err = err
	}
	var b strings.Builder
	if res.Status != "" {
		fmt.Fprintf(&b, "%s answered after %s: %s\n", printable(d.Name), took, printable(res.Status))
	}
	for line := range strings.Lines(res.Excerpt) {
		fmt.Fprintf(&b, "  %s\n", printable(strings.TrimSuffix(line, "\n")))
	}
	if res.Err == nil {
		fmt.Fprintf(&b, "%s took the message %s (event %s) after %s\n", printable(d.Name), m.EventID, m.Event, took)
	}
	if _, err := fmt.Fprint(e.stdout, b.String()); err != nil {
		return err
	}
	if res.Err != nil {
		return fmt.Errorf("%s did not take the message: %w", d.Name, res.Err)
	}
	return nil
}

// pingMessage returns a test message in the destination's format.
func pingMessage(d *delivery.Destination) (*delivery.Message, error) {
	now := time.Now().UTC()
	id, err := ulid.New(ulid.Timestamp(now), rand.Reader)
	if err != nil {
		return nil, err
	}
	line, err := json.Marshal(map[string]any{
		"event": pingEvent, "event_id": id.String(), "seq": 0, "source": "kazoohook", "received_at": now,
		"data": map[string]any{"message": "a test message of kazoohook ping"},
	})
	if err != nil {
		return nil, err
	}
	ev, err := eventOfLine(line)
	if err != nil {
		return nil, err
	}
	m, err := d.Message(ev)
	if err != nil {
		return nil, fmt.Errorf("%s: the test message can't be written: %w", d.Name, err)
	}
	m.Attempt, m.At = 1, now
	return m, nil
}

// senderOptions returns the options of every sender.
func senderOptions(log zerolog.Logger) delivery.SenderOptions {
	return delivery.SenderOptions{Log: log, Version: version().Version}
}

// onward is the groups of settings that commands about destinations need.
const onward = history | config.Onward
