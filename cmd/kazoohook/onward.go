package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"kazoohook/config"
	"kazoohook/handlers"
	"kazoohook/internal/delivery"
	"kazoohook/internal/journal"
)

// onwardGrace is the time that attempts may take when the service stops, less than
// the limit of the stop.
const onwardGrace = stageLimit - time.Second

// takeDestinations applies changed destinations and reports whether they changed. After
// an error the previous ones stay in use.
func (s *service) takeDestinations(ctx context.Context, current, next *config.Config) (bool, error) {
	if reflect.DeepEqual(current.Destinations, next.Destinations) {
		return false, nil
	}
	list, err := compileDestinations(next.Destinations)
	if t := s.leading(); err == nil && t != nil {
		err = t.onward.Set(ctx, list)
	}
	if err != nil {
		return false, err
	}
	used := next.Destinations
	s.destinations.Store(&used)
	return true, nil
}

// forwardSettings are the variables of the destination forward, which may change
// while running.
func forwardSettings() []string { return []string{"FORWARD_URL", "FORWARD_SECRET", "FORWARD_EVENTS"} }

// onwardHandlers returns the API's functions for destinations.
func (s *service) onwardHandlers() handlers.Onward {
	o := journalOnward(s.journal, nil)
	o.Destinations = s.destinationStates
	o.Pause = func(ctx context.Context, name string) error {
		_, err := led(s, func(t *turn) (struct{}, error) { return struct{}{}, onwardError(t.onward.Pause(ctx, name)) })
		return err
	}
	o.Resume = func(ctx context.Context, name string) error {
		_, err := led(s, func(t *turn) (struct{}, error) { return struct{}{}, onwardError(t.onward.Resume(ctx, name)) })
		return err
	}
	o.Redeliver, o.Discard = s.redeliver, s.discard
	return o
}

// onwardError maps errors of delivery to the API's errors.
func onwardError(err error) error {
	for from, to := range map[error]error{
		delivery.ErrUnknown: handlers.ErrNoDestination, journal.ErrNoDestination: handlers.ErrNoDestination,
		journal.ErrNotFound: handlers.ErrNoEvent, delivery.ErrRedelivery: handlers.ErrRefused,
	} {
		if errors.Is(err, from) {
			return fmt.Errorf("%w: %s", to, strings.TrimPrefix(err.Error(), from.Error()+": "))
		}
	}
	return err
}

func (s *service) destinationStates(ctx context.Context) ([]handlers.Destination, error) {
	states, err := led(s, func(t *turn) ([]delivery.Status, error) { return t.onward.Status(ctx) })
	list := make([]handlers.Destination, 0, len(states))
	for _, d := range states {
		list = append(list, handlers.Destination{
			Name: d.Name, Type: string(d.Type), State: string(d.State), Waiting: d.Waiting, Dead: d.Dead, OldestWaitingSeconds: seconds(d.OldestWaiting), LastError: d.LastError,
			PausedBy: d.PausedBy.String(), Since: d.Since.UTC(), Address: addressOf(*s.destinations.Load(), d.Name), Delivered: d.Delivered, PerMinute: float64(d.DeliveredMinute),
			LastAt: d.LastAt.UTC(), LastStatus: d.LastStatus, LastExcerpt: d.LastExcerpt,
		})
	}
	return list, err
}

func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// addressOf returns a destination's address, without secrets.
func addressOf(list []config.Destination, name string) string {
	i := slices.IndexFunc(list, func(d config.Destination) bool { return d.Name == name })
	if i < 0 {
		return ""
	}
	switch d := list[i]; {
	case d.Type == "exec":
		return d.Command[0]
	case d.Type == "postgres":
		return d.Table
	default:
		return d.URL.String()
	}
}

func (s *service) redeliver(ctx context.Context, q handlers.RedeliverRequest) (handlers.RedeliverResult, error) {
	out := handlers.RedeliverResult{Destination: q.Destination, DryRun: q.DryRun}
	list, err := led(s, func(t *turn) (delivery.Redeliveries, error) {
		return t.onward.Redeliver(ctx, delivery.Redelivery{
			Destination: q.Destination, Dead: q.Dead, EventID: q.EventID, From: q.From, To: q.To, Event: q.Event, DryRun: q.DryRun,
		})
	})
	out.Count, out.More, out.Left = list.Count, list.More, list.Left
	for _, e := range list.Events {
		if len(out.Events) == handlers.MaxRedelivered {
			out.More++
			continue
		}
		out.Events = append(out.Events, handlers.EventIdentity{Seq: e.Seq, EventID: e.EventID, Event: e.Event, Skipped: e.Skipped})
	}
	return out, onwardError(err)
}

// discard ends dead letters of one destination or of all.
func (s *service) discard(ctx context.Context, q handlers.DiscardRequest) (int, error) {
	names := []string{q.Destination}
	if q.Destination == "" {
		states, err := led(s, func(t *turn) ([]delivery.Status, error) { return t.onward.Status(ctx) })
		if err != nil {
			return 0, err
		}
		names = nil
		for _, d := range states {
			names = append(names, d.Name)
		}
	}
	total := 0
	for _, name := range names {
		n, err := led(s, func(t *turn) (int, error) {
			return t.onward.Discard(ctx, delivery.Discarding{Destination: name, EventID: q.EventID})
		})
		total += n
		if err != nil {
			return total, onwardError(err)
		}
	}
	return total, nil
}

// journalOnward answers from the journal alone, while the service is stopped.
func journalOnward(j *journal.Journal, configured []config.Destination) handlers.Onward {
	return handlers.Onward{
		Destinations: func(ctx context.Context) ([]handlers.Destination, error) {
			return storedDestinations(ctx, j, configured)
		},
		Removed: func(ctx context.Context) ([]handlers.Destination, error) { return removedDestinations(ctx, j) },
		Dead: func(ctx context.Context, q handlers.DeadQuery) ([]handlers.DeadLetter, error) {
			found, err := j.DeadLetters(ctx, q.Destination, q.After, q.Limit)
			list := make([]handlers.DeadLetter, 0, len(found))
			for _, d := range found {
				list = append(list, handlers.DeadLetter{
					Destination: d.Destination, EventID: d.EventID, Seq: d.Seq, Event: d.Event, Attempts: d.Attempts, LastError: d.LastError, At: d.At.UTC(), NoBody: d.NoBody,
				})
			}
			return list, onwardError(err)
		},
		Deliveries: func(ctx context.Context, seq int64) ([]handlers.Delivery, error) {
			found, err := j.Deliveries(ctx, seq)
			list := make([]handlers.Delivery, 0, len(found))
			for i := range found {
				list = append(list, deliveryOf(&found[i]))
			}
			return list, err
		},
		Accounts: func(ctx context.Context) ([]handlers.Account, error) {
			found, err := j.AccountPlaces(ctx)
			list := make([]handlers.Account, 0, len(found))
			for _, a := range found {
				list = append(list, handlers.Account{ID: a.Account, Ancestors: append([]string{}, a.Ancestors...)})
			}
			return list, err
		},
	}
}

func deliveryOf(d *journal.Delivery) handlers.Delivery {
	out := handlers.Delivery{
		Destination: d.Destination, State: map[journal.DeliveryState]string{journal.Dead: "dead", journal.Delivered: "delivered", journal.Discarded: "discarded"}[d.State],
		Attempts: d.Attempts, LastError: d.LastError, Redelivered: d.Redelivered, NoBody: d.NoBody,
	}
	if out.State == "" {
		out.State, out.Due = "waiting", d.Due.UTC()
	}
	for _, a := range d.History {
		out.History = append(out.History, handlers.Attempt{N: a.N, At: a.At.UTC(), TookMS: float64(a.Took.Microseconds()) / 1000, Status: a.Status, Error: a.Error})
	}
	return out
}

// storedDestinations returns the state of the configured destinations when the
// service stopped.
func storedDestinations(ctx context.Context, j *journal.Journal, configured []config.Destination) ([]handlers.Destination, error) {
	states, err := j.Destinations(ctx)
	if err != nil {
		return nil, err
	}
	last, err := j.Last(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]handlers.Destination, 0, len(configured))
	for _, c := range configured {
		d := handlers.Destination{Name: c.Name, Type: c.Type, State: string(delivery.StateOK), Address: addressOf(configured, c.Name)}
		if i := slices.IndexFunc(states, func(s journal.DestinationState) bool { return s.Name == c.Name && s.Removed.IsZero() }); i >= 0 {
			storedState(ctx, j, &d, &states[i], last)
		}
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b handlers.Destination) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// removedDestinations returns the destinations that are no longer configured; their
// state is kept for a week.
func removedDestinations(ctx context.Context, j *journal.Journal) ([]handlers.Destination, error) {
	states, err := j.Destinations(ctx)
	if err != nil {
		return nil, err
	}
	var list []handlers.Destination
	for i := range states {
		if s := &states[i]; !s.Removed.IsZero() {
			list = append(list, handlers.Destination{
				Name: s.Name, State: "removed", RemovedAt: s.Removed.UTC(), Waiting: s.Waiting, Dead: s.Dead, Delivered: s.Accepted, LastError: s.LastError,
				LastAt: s.LastAt.UTC(), LastStatus: s.LastStatus, LastExcerpt: s.LastExcerpt,
			})
		}
	}
	return list, nil
}

func storedState(ctx context.Context, j *journal.Journal, d *handlers.Destination, s *journal.DestinationState, last int64) {
	behind := max(0, last-s.Cursor)
	d.Waiting, d.Dead, d.Delivered, d.LastError = s.Waiting+behind, s.Dead, s.Accepted, s.LastError
	d.PausedBy, d.Since, d.LastAt, d.LastStatus, d.LastExcerpt = s.Paused.String(), s.Since.UTC(), s.LastAt.UTC(), s.LastStatus, s.LastExcerpt
	switch {
	case s.Paused != journal.NotPaused:
		d.State = string(delivery.StatePaused)
	case s.LastError != "":
		d.State = string(delivery.StateRetrying)
	}
	oldest := s.Oldest
	if oldest == 0 && behind > 0 {
		oldest = s.Cursor + 1
	}
	if recs, _, err := j.Kept(ctx, []int64{oldest}); oldest > 0 && err == nil && len(recs) > 0 {
		d.OldestWaitingSeconds = seconds(max(0, time.Since(recs[0].ReceivedAt)))
	}
}
