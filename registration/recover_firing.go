package registration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
)

// firing is one event that Kazoo sent to one hook, as the recorded tries show it.
type firing struct {
	key      firingKey
	attempts []crossbar.Attempt // oldest first
}

// firingKey is what all tries of a firing share.
type firingKey struct{ hook, event string }

func (f firing) first() time.Time         { return f.attempts[0].Time }
func (f firing) last() time.Time          { return f.newest().Time }
func (f firing) newest() crossbar.Attempt { return f.attempts[len(f.attempts)-1] }

// firings groups attempts, oldest first, by the event that they carried, the
// firing that ended first in front.
func firings(attempts []crossbar.Attempt) []firing {
	index := map[firingKey]int{}
	var out []firing
	for _, a := range attempts {
		k := firingKey{a.HookID, a.EventID}
		i, ok := index[k]
		if !ok {
			i = len(out)
			index[k] = i
			out = append(out, firing{key: k})
		}
		out[i].attempts = append(out[i].attempts, a)
	}
	slices.SortStableFunc(out, func(a, b firing) int { return a.last().Compare(b.last()) })
	return out
}

// verdict is what became of a firing.
type verdict int

const (
	delivered verdict = iota + 1 // a success is on record (where an operator keeps those)
	lost                         // the last try failed
	short                        // failures are on record, but none is the last
	pending                      // the next try may still come
)

// A firing whose last recorded try is older than this has most probably ended:
// tries are 2 s apart and each may spend 10 s connecting
// (kazoo 4.3 applications/webhooks/src/webhooks_util.erl).
const firingOver = 90 * time.Second

// storedLate is how much later than others an attempt may appear. What nothing
// but the time of its first try tells from a delivery that we hold waits so long.
const storedLate = 30 * time.Second

// verdict decides. An answer other than 200 is final; a transport failure is
// followed by another try until none is left; only failures are recorded. So a
// firing whose record stops short was answered in the end, or Kazoo itself died
// in the middle.
func (f firing) verdict(now time.Time) verdict {
	v := short
	for _, a := range f.attempts {
		switch {
		case a.Result == "success":
			return delivered
		case a.Last:
			v = lost
		}
	}
	if v == short && now.Sub(f.last()) < firingOver {
		return pending
	}
	return v
}

// decision remembers what was done with a firing, because all of overlap is
// read again in every run.
type decision struct {
	verdict verdict
	tries   int
	last    time.Time
}

// settle does what is to be done about a firing.
func (r *Recoverer) settle(ctx context.Context, f firing, now time.Time) error {
	d := decision{f.verdict(now), len(f.attempts), f.last()}
	before := r.decided[f.key]
	if d.verdict == pending || d.verdict == delivered || before.verdict == d.verdict && before.tries >= d.tries {
		return nil
	}
	rec, err := f.record(now)
	switch {
	case err != nil:
		r.unrecoverable(f, d.verdict, err)
	case rec.Dedupe.Rule == event.RuleUnacknowledged && now.Sub(f.last()) < storedLate:
		return nil // in the next run
	case d.verdict == lost || rec.Dedupe.Rule != event.RuleUnacknowledged:
		// Where the record stops short, an event that the journal recognises at
		// any time can be offered to it; another one may have arrived much later
		// (a resend after our 503 leaves no trace) and must not come twice.
		if err := r.keep(ctx, f, d.verdict, rec); err != nil {
			return err
		}
	}
	r.decided[f.key] = d
	return nil
}

// record is the event of a firing, as if it had been delivered at the time of
// the last try.
func (f firing) record(now time.Time) (event.Record, error) {
	last := f.newest()
	body, err := event.FlattenIOList(last.Body)
	if err == nil && len(body) == 0 {
		err = errors.New("no body was kept (a GET hook sends its event in the address)")
	}
	if err != nil {
		return event.Record{}, err
	}
	// A time in the future would make everything that follows look old.
	end := minTime(f.last(), now).UTC()
	return event.Route(event.Delivery{
		Source:        event.SourceRecovered,
		ReceivedAt:    end,
		Hook:          hookSegment(last),
		HookID:        last.HookID,
		HookAccountID: last.Header["x-account-id"],
		Method:        strings.ToUpper(last.Method),
		ContentType:   last.Header["content-type"],
		Body:          body,
		Firing:        event.Firing{ID: last.EventID, First: minTime(f.first(), now).UTC(), Last: end},
	}), nil
}

// keep appends the event, unless the journal has it.
func (r *Recoverer) keep(ctx context.Context, f firing, v verdict, rec event.Record) error {
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
		Time("failed_at", rec.ReceivedAt).Str("failure", Explain(f.newest())).Msg("an event that Kazoo could not deliver was recovered")
	return nil
}

func (r *Recoverer) unrecoverable(f firing, v verdict, why error) {
	if v != lost {
		return
	}
	r.count(func(s *RecoverStats) { s.Unrecoverable++ })
	r.opts.Log.Error().Err(why).Str("hook_id", f.key.hook).Str("hook", f.newest().HookEvent).Str("kazoo_event_id", f.key.event).
		Time("failed_at", f.last().UTC()).Msg("an event was lost and can't be recovered from Kazoo's record")
}

// madeUpID stands in for a missing event id: without one, an attempt is a firing
// of its own, and must be recognised when it is read again.
func madeUpID(a crossbar.Attempt) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %s", a.HookID, a.Time.Unix(), a.Body))
	return "unnamed-" + hex.EncodeToString(sum[:8])
}

// hookSegment is the last segment of the URI that Kazoo tried, which names the
// hook, or the hook's own name if the URI can't be read.
func hookSegment(a crossbar.Attempt) string {
	if u, err := url.Parse(a.URI); err == nil && len(u.Path) > 1 {
		return path.Base(u.Path)
	}
	return strings.ToLower(a.HookEvent)
}
