package trial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kazoohook/internal/delivery/brokertest"
)

// stream is a stream of NATS JetStream.
type stream struct{ *brokertest.NATS }

func startStream(h *host, o Options) (broker, server, error) {
	s := &stream{brokertest.StartNATS(h, o.NATS)}
	err := s.refuse(h.ctx, false)
	return s, s, err
}

// with calls f on a connection of its own.
func (s *stream) with(f func(jetstream.JetStream) error) error {
	nc, err := nats.Connect(s.URL())
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	return f(js)
}

func (s *stream) settings() []string {
	return []string{"type: nats", "url: " + s.URL()}
}

// refuse makes the stream accept other subjects only. The stream recognises
// duplicates for a tenth of a second only, so that later ones show.
func (s *stream) refuse(ctx context.Context, on bool) error {
	subject := "kazoo.>"
	if on {
		subject = "other.>"
	}
	return s.with(func(js jetstream.JetStream) error {
		_, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{subject}, Duplicates: 100 * time.Millisecond})
		return err
	})
}

func (s *stream) seen(ctx context.Context) (list []arrival, wrong []string, err error) {
	err = s.with(func(js jetstream.JetStream) error {
		events, err := js.Stream(ctx, "EVENTS")
		if err != nil {
			return err
		}
		for n := uint64(1); n <= events.CachedInfo().State.LastSeq; n++ {
			m, err := events.GetMsg(ctx, n)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				wrong = append(wrong, fmt.Sprintf("message %d is no longer in the stream", n))
				continue
			}
			if err != nil {
				return err
			}
			e, err := ParseEvent(m.Data)
			if err != nil {
				return fmt.Errorf("what is in the stream: %w", err)
			}
			if id := m.Header.Get(jetstream.MsgIDHeader); id != e.ID {
				wrong = append(wrong, fmt.Sprintf("event %s has the message id %q", e.ID, id))
			}
			list = append(list, arrival{event: e, at: m.Time, ok: true})
		}
		return nil
	})
	return list, wrong, err
}
