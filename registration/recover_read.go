package registration

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
)

const (
	pageSize  = 50  // attempts in one of Kazoo's answers
	mostPages = 200 // most pages in one run; later runs read the rest
	// wholeEvery is the time between two readings of all of the last hour and a
	// half: an attempt stored by a node with a slow clock may lie below known ones.
	wholeEvery = 10 * time.Minute
)

// reading is this process's progress through the record.
type reading struct {
	most    int                 // pages in one run; differs from mostPages in tests
	seen    map[event.Key]known // the attempts that were read, foreign ones too
	wholeAt time.Time           // start of the last complete whole reading
	failed  bool                // the last reading was not complete
	rest    *window             // the rest of a whole reading
}

// known is an attempt that was read.
type known struct {
	at   time.Time // by Kazoo's clock
	hook string    // id of its hook, if that was not ours; "": the attempt was taken
}

// recognise updates which hooks are ours. Attempts of a hook that was wrongly
// considered foreign are read again: after a journal was replaced, the record may
// be read before Kazoo has listed its hooks.
func (r *reading) recognise(ours map[string]bool) {
	for k, a := range r.seen {
		if a.hook != "" && ours[a.hook] {
			delete(r.seen, k)
			r.wholeAt, r.rest = time.Time{}, nil
		}
	}
}

// got is the result of one run's reading.
type got struct {
	fresh  []crossbar.Attempt // of our hooks, not read before
	unread time.Time          // end of the last unreadable part, by Kazoo's clock; zero: none
	held   time.Time          // start of the first unreadable part, by Kazoo's clock
	more   bool               // a rest is left
	pages  int
}

// read reads the record, newest first, down to the first page on which every
// attempt is known; a whole reading goes down to a given time. Kazoo sorts by the
// clocks of its nodes, which may be an hour off.
func (r *Recoverer) read(ctx context.Context, account string, from time.Time, at checkpoint, ours map[string]bool) (g got, err error) {
	g.held = at.Kazoo
	r.mu.Lock()
	whole := r.whole
	r.whole = false
	r.mu.Unlock()
	first := r.reading.wholeAt.IsZero() && r.reading.rest == nil
	whole = whole || first || r.reading.failed || elapsed(r.reading.wholeAt, at.Ours) >= wholeEvery
	rest := r.reading.rest
	if rest != nil {
		whole = false // a whole reading is in progress
	}
	top := window{from, at.Kazoo.Add(ahead)}
	left, err := r.readSpan(ctx, account, top, whole, at.Kazoo, ours, &g)
	if left == nil && rest != nil && err == nil {
		left, err = r.readSpan(ctx, account, *rest, true, at.Kazoo, ours, &g)
		whole = true
	}
	switch {
	case err != nil: // the next run reads from the checkpoint
		if left != nil {
			g.held = minTime(g.held, from)
		}
		r.reading.rest, r.reading.failed = nil, true
	case left != nil:
		r.reading.rest, g.more = left, true
	default:
		r.reading.rest, r.reading.failed = nil, false
		if whole {
			r.reading.wholeAt = at.Ours
		}
	}
	return g, err
}

// readSpan reads a span of Kazoo's clock, newest first. It skips unreadable parts
// and records them in g.held, which the checkpoint must not pass. If the run has
// read enough, it returns the rest of the span.
func (r *Recoverer) readSpan(ctx context.Context, account string, span window, whole bool, now time.Time, ours map[string]bool, g *got) (left *window, err error) {
	const giveUp = 2 // windows in a row: then the cause is not in the windows
	failed := 0
	for _, w := range slices.Backward(slices.Collect(windows(span.from, span.to))) {
		end, reached, werr := r.window(ctx, account, w, whole, ours, g)
		switch {
		case werr == nil:
			failed = 0
			delete(r.absent, w.month())
			if end == knownPage {
				return nil, err
			}
			if end == enough {
				return &window{span.from, reached}, err
			}
			continue
		case isAbsent(werr) && r.archived(w, now, werr):
			continue
		case !isAbsent(werr):
			err = errors.Join(err, fmt.Errorf("read failed attempts: %w", werr))
			failed++
			g.unread = later(g.unread, w.to)
		}
		g.held = minTime(g.held, w.from)
		if failed == giveUp || ctx.Err() != nil {
			g.held = minTime(g.held, span.from)
			break
		}
	}
	return nil, err
}

// ending is the reason that the reading of a window ended.
type ending int

const (
	bottom    ending = iota // everything was read
	knownPage               // a page held nothing new
	enough                  // this run has read enough
)

// window reads one window's attempts and keeps new ones of our hooks. reached is
// the time of the last attempt read.
func (r *Recoverer) window(ctx context.Context, account string, w window, whole bool, ours map[string]bool, g *got) (end ending, reached time.Time, err error) {
	n, old := 0, 0 // attempts read; known ones at the end of these
	defer func() { g.pages += n/pageSize + 1 }()
	for a, err := range r.api.Attempts(ctx, account, "", w.from, w.to) {
		if err != nil {
			return bottom, reached, err
		}
		// Attempts of one second are read together: the next run continues at a
		// second.
		if n > 0 && g.pages+n/pageSize >= r.reading.most && a.Time.Before(reached) {
			return enough, reached, nil
		}
		n++
		reached = a.Time
		if a.EventID == "" {
			a.EventID = madeUpID(a)
		}
		id := attemptID(a)
		if _, ok := r.reading.seen[id]; ok {
			old++
		} else {
			old = 0
			k := known{at: later(a.Time, w.from)}
			if ours[a.HookID] || ourSecret(a.URI, r.ourSecrets()...) {
				g.fresh = append(g.fresh, a)
			} else {
				k.hook = a.HookID
			}
			r.reading.seen[id] = k
		}
		if !whole && n%pageSize == 0 && old >= pageSize {
			return knownPage, reached, nil
		}
	}
	return bottom, reached, nil
}

// attemptID identifies an attempt.
func attemptID(a crossbar.Attempt) event.Key {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d %d %d", a.HookID, a.EventID, a.Time.Unix(), a.Try, a.RetriesLeft))
	return event.Key(sum[:len(event.Key{})])
}

// isAbsent reports whether Kazoo has no database or view for a month.
func isAbsent(err error) bool {
	const missingView = "missing view" // kazoo 4.3 applications/crossbar/src/crossbar_util.erl: a 503
	var e *crossbar.Error
	return crossbar.IsNotFound(err) || errors.As(err, &e) && strings.Contains(e.Message, missingView)
}

// archived decides whether a missing month is lost for good, and logs that once.
// The current month may have no record yet, and a view may still be built: both are
// asked for again.
func (r *Recoverer) archived(w window, now time.Time, why error) bool {
	since, noticed := r.absent[w.month()]
	if !noticed {
		since = r.opts.Now()
		r.absent[w.month()] = since
	}
	if !w.to.Before(now.Add(-overlap)) || r.opts.Now().Sub(since) < archiveGrace {
		return false
	}
	r.count(func(s *RecoverStats) { s.ArchivedGaps++ })
	r.opts.Log.Warn().Err(why).Time("from", w.from.UTC()).Time("to", w.to.UTC()).
		Msg("Kazoo has no record of the failed attempts of this span: events lost then can't be read back; the resync still finds deleted objects")
	return true
}
