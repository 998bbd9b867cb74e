package registration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// firing is one event that Kazoo sent to one hook, as shown by the recorded tries.
type firing struct {
	key         firingKey
	first, last time.Time        // by our clock, to the accuracy of Kazoo's nodes
	newest      crossbar.Attempt // without its body once the firing is done
	readAt      time.Time        // when the newest try was first read
	tries       int              // on record
	ended       bool             // no further try follows
	success     bool             // a success is recorded (if the operator keeps those)

	done bool // settled with this verdict and number of tries
	as   verdict
	of   int
}

// firingKey is shared by all tries of a firing.
type firingKey struct{ hook, event string }

// note adds attempts, first read at now, oldest first, to their firings.
func (r *Recoverer) note(attempts []crossbar.Attempt, now time.Time) {
	for _, a := range attempts {
		k := firingKey{a.HookID, a.EventID}
		f := r.firings[k]
		if f == nil {
			f = &firing{key: k, first: a.Time, last: a.Time, newest: a}
			r.firings[k] = f
		}
		f.tries++
		f.readAt = now
		f.success = f.success || a.Result == "success"
		f.ended = f.ended || a.Last
		f.first = minTime(f.first, a.Time)
		if !a.Time.Before(f.last) && (a.Last || !f.newest.Last) {
			f.newest = a
		}
		f.last = later(f.last, a.Time)
	}
}

// verdict is the outcome of a firing.
type verdict int

const (
	delivered verdict = iota + 1 // a success is on record
	lost                         // the last try failed
	short                        // failures are on record, but not the last try
	pending                      // the next try may still come
)

// A firing has most probably ended if its last recorded try was read this long ago:
// tries are 2 s apart and each may spend 10 s connecting (kazoo 4.3
// applications/webhooks/src/webhooks_util.erl).
const firingOver = 90 * time.Second

// storedLate is the longest delay with which an attempt appears on the record. A
// firing that differs from a stored request only by its order waits this long.
const storedLate = 30 * time.Second

// age returns the least time since the last recorded try, whose stamp is from one
// of Kazoo's nodes.
func (f *firing) age(now time.Time) time.Duration {
	return max(elapsed(f.readAt, now), now.Sub(f.last)-skew)
}

// verdict judges a firing. An answer other than 200 is final. After a transport
// failure another try follows until none is left. Only failures are recorded. So if
// the last try is missing from the record, the firing was answered in the end, or
// Kazoo died in between.
func (f *firing) verdict(now time.Time) verdict {
	switch {
	case f.success:
		return delivered
	case f.ended:
		return lost
	case f.age(now) < firingOver:
		return pending
	}
	return short
}

// settle settles a firing. waiting are the keys of earlier firings that have to
// wait.
func (r *Recoverer) settle(ctx context.Context, f *firing, now time.Time, waiting map[event.Key]bool) error {
	v := f.verdict(now)
	if v == delivered || f.done && f.as == v && f.of >= f.tries {
		f.finish(v)
		return nil
	}
	rec, err := f.record(now, r.ourSecrets())
	byOrder := err == nil && rec.Dedupe.Rule == event.RuleUnacknowledged
	switch {
	case v == pending, byOrder && f.age(now) < storedLate, byOrder && waiting[rec.Dedupe.Key]:
		waiting[rec.Dedupe.Key] = waiting[rec.Dedupe.Key] || byOrder
		return nil // in a later run
	case err != nil:
		r.unrecoverable(f, v, err)
	case v == lost || !byOrder:
		// If the last try is missing, only an event that the journal recognises at
		// any time may be appended. Any other event may have arrived much later (a
		// resend after our 503 leaves no trace) and must not come twice.
		switch err := r.keep(ctx, f, v, rec); {
		case errors.Is(err, journal.ErrTooLarge): // a cluster's log never takes it
			r.unrecoverable(f, v, err)
		case err != nil:
			waiting[rec.Dedupe.Key] = waiting[rec.Dedupe.Key] || byOrder
			return err
		}
	}
	f.finish(v)
	return nil
}

func (f *firing) finish(v verdict) {
	f.done, f.as, f.of = true, v, f.tries
	f.newest.Body = nil
}

// record returns the event of a firing, as if it had been delivered at the time of
// the last try.
func (f *firing) record(now time.Time, secrets []string) (event.Record, error) {
	last := f.newest
	body, err := event.FlattenIOList(last.Body)
	if err == nil && len(body) == 0 {
		err = errors.New("no body was kept (a GET hook sends its event in the address)")
	}
	if err != nil {
		return event.Record{}, err
	}
	// A time in the future would make all later events look old.
	end := minTime(f.last, now).UTC()
	return event.Route(event.Request{
		Source:        event.SourceRecovered,
		ReceivedAt:    end,
		Hook:          hookSegment(last, secrets),
		HookID:        last.HookID,
		HookAccountID: last.Header["x-account-id"],
		Method:        strings.ToUpper(last.Method),
		ContentType:   last.Header["content-type"],
		Body:          body,
		Firing:        event.Firing{ID: last.EventID, First: minTime(f.first, now).UTC(), Last: end, End: f.end(), Tries: f.tries},
	}), nil
}

func (f *firing) end() event.FiringEnd {
	switch {
	case !f.ended:
		return event.FiringOpen
	case f.newest.Status != "":
		return event.FiringAnswered
	}
	return event.FiringUnanswered
}

// keep appends the event, unless the journal has it.
func (r *Recoverer) keep(ctx context.Context, f *firing, v verdict, rec event.Record) error {
	rec.Hidden = Hidden(r.opts.Specs, &rec)
	got, err := r.store.Append(ctx, rec)
	if err != nil {
		return fmt.Errorf("keep event %s: %w", f.key.event, err)
	}
	if got.Duplicate {
		if v == lost {
			r.count(func(s *RecoverStats) { s.Held++ })
		}
		return nil
	}
	r.count(func(s *RecoverStats) { s.Recovered++ })
	r.opts.Log.Warn().Int64("recovered_seq", got.Seq).Str("hook_id", f.key.hook).Str("kazoo_event_id", f.key.event).
		Time("failed_at", rec.ReceivedAt).Str("failure", Explain(f.newest)).Msg("an event that Kazoo could not deliver was recovered")
	return nil
}

func (r *Recoverer) unrecoverable(f *firing, v verdict, why error) {
	if v != lost {
		return
	}
	r.count(func(s *RecoverStats) { s.Unrecoverable++ })
	r.opts.Log.Error().Err(why).Str("hook_id", f.key.hook).Str("hook", f.newest.HookEvent).Str("kazoo_event_id", f.key.event).
		Time("failed_at", f.last.UTC()).Msg("an event was lost and can't be recovered from Kazoo's record")
}

// madeUpID replaces a missing event id. Such an attempt is a firing of its own and
// must be recognised when it is read again.
func madeUpID(a crossbar.Attempt) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %s", a.HookID, a.Time.Unix(), a.Body))
	return "unnamed-" + hex.EncodeToString(sum[:8])
}

// hookSegment returns the last segment of the URI, which names the hook, or the
// hook's own name if the URI is not ours.
func hookSegment(a crossbar.Attempt, secrets []string) string {
	if u, err := url.Parse(a.URI); err == nil && (ourSecret(a.URI, secrets...) || a.HookEvent == "") && len(u.Path) > 1 {
		return path.Base(u.Path)
	}
	return a.HookEvent
}
