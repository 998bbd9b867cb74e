package handlers

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/event"
)

// streams answers /api/events/stream with server-sent events. Each subscriber reads
// the journal by seq at its own pace, so no buffer can overflow. A slow reader
// falls behind, a stalled one is cut off, and one that reconnects with
// Last-Event-ID continues where it was.
type streams struct {
	deps   AdminDeps
	active atomic.Int64
}

const (
	cutSlow     = "slow"     // the reader stalled for longer than WriteTimeout
	cutStopping = "stopping" // the service stops
	cutJournal  = "journal"  // the journal could not be read
	cutLimit    = "limit"    // MaxStreams reached: refused

	// streamBatch is the most records that one subscriber has in memory.
	streamBatch = 64
	// positionEvery is the number of records outside the filter after which the
	// reader gets a position, so that resuming doesn't read them again.
	positionEvery = 1000
)

func newStreams(d AdminDeps) *streams { return &streams{deps: d} }

func (s *streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	filter, err := queryParams(r.URL.Query(), s.deps.Now())
	if err == nil && !filter.Until.IsZero() {
		err = errors.New("until: a live stream has no end")
	}
	if err == nil && r.URL.Query().Has("duplicate") {
		err = errors.New("duplicate: a stream shows events before they have duplicates")
	}
	after, resumed, err := position(r, filter, err)
	if err != nil {
		writeProblem(w, http.StatusBadRequest, err.Error())
		return
	}
	defer s.active.Add(-1)
	if s.active.Add(1) > int64(s.deps.MaxStreams) {
		s.cut(cutLimit, 0)
		w.Header().Set("Retry-After", "10")
		writeProblem(w, http.StatusServiceUnavailable, "Too many live streams. Close one, or try again later.")
		return
	}
	s.deps.Metrics.streams.Inc()
	defer s.deps.Metrics.streams.Dec()

	last, err := s.deps.History.Last(r.Context())
	if err != nil {
		failed(w, r, s.deps.Log, err)
		return
	}
	out := &sse{w: w, control: http.NewResponseController(w), timeout: s.deps.WriteTimeout}
	defer out.endWith(r.Context())()
	switch {
	case !resumed && filter.Since.IsZero():
		after = last
	case !resumed:
		if after, err = s.since(r.Context(), filter.Since, last); err != nil {
			failed(w, r, s.deps.Log, err)
			return
		}
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
	w.WriteHeader(http.StatusOK)
	out.buf = append(out.buf, "retry: 2000\n\n"...)
	if resumed && after > last {
		// The reader's position is from another journal.
		out.event("gap", last, `{"reason":"this journal is younger than the position asked for"}`)
		after = last
	}
	// Since only sets the start: a recovered event belongs to the stream even if it
	// is older.
	filter.Since, filter.After, filter.Before, filter.Limit = time.Time{}, 0, 0, 0
	sub := subscriber{deps: s.deps, out: out, filter: filter, after: after, reported: after}
	s.finish(r, out, sub.run(r.Context()), sub.after)
}

// position returns the position at which the reader continues: Last-Event-ID, which
// a browser sends after a lost connection, or else ?after=.
func position(r *http.Request, filter event.Query, err error) (after int64, resumed bool, _ error) {
	if err != nil {
		return 0, false, err
	}
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil || n < 0 {
			return 0, false, errors.New("Last-Event-ID: the id of an event of this stream")
		}
		return n, true, nil
	}
	return filter.After, r.URL.Query().Get("after") != "", nil
}

// since finds the seq before the first event received at or after t.
func (s *streams) since(ctx context.Context, t time.Time, last int64) (int64, error) {
	found, _, err := s.deps.History.Query(ctx, event.Query{Since: t, OldestFirst: true, Limit: 1})
	if err != nil || len(found) == 0 {
		return last, err
	}
	return found[0].Seq - 1, nil
}

// finish ends a stream, and sends the reason if the reader can still get it.
func (s *streams) finish(r *http.Request, out *sse, err error, after int64) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		// A write may have been sent in part, so the connection can't be used any
		// more.
		reason := cutSlow
		if s.deps.Draining() {
			reason = cutStopping
		}
		s.cut(reason, after)
	case errors.Is(err, errHungUp):
	case r.Context().Err() != nil:
		if s.deps.Draining() { // otherwise the reader has left
			s.cut(cutStopping, after)
			out.event("error", 0, `{"reason":"stopping"}`)
			_ = out.flush()
		}
	default:
		s.deps.Log.Error().Err(err).Int64("after", after).Msg("a live stream could not read the journal")
		out.event("error", 0, `{"reason":"the journal could not be read"}`)
		s.cut(cutJournal, after)
		_ = out.flush()
	}
}

func (s *streams) cut(reason string, after int64) {
	s.deps.Metrics.cut.WithLabelValues(reason).Inc()
	level := zerolog.DebugLevel
	if reason == cutSlow || reason == cutLimit {
		level = zerolog.WarnLevel
	}
	s.deps.Log.WithLevel(level).Str("reason", reason).Int64("after", after).Msg("live stream ended")
}

// subscriber is the state of one stream.
type subscriber struct {
	deps     AdminDeps
	out      *sse
	filter   event.Query
	after    int64 // the last seq read
	reported int64 // the last seq sent to the reader
}

// run sends events until something fails or ctx ends.
func (s *subscriber) run(ctx context.Context) error {
	if err := s.out.flush(); err != nil {
		return err
	}
	for {
		records, err := s.deps.History.Read(ctx, s.after, streamBatch)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			if err := s.wait(ctx); err != nil {
				return err
			}
			continue
		}
		if first := records[0].Seq; s.after > 0 && first > s.after+1 {
			// Seqs have no holes, so a missing one was removed before the reader
			// reached it.
			s.out.event("gap", first-1, `{"reason":"events past their retention","from":`+
				strconv.FormatInt(s.after+1, 10)+`,"to":`+strconv.FormatInt(first-1, 10)+`}`)
			s.reported = first - 1
		}
		for _, rec := range records {
			s.after = rec.Seq
			if s.filter.Match(rec) {
				s.out.record(rec.Seq, decode(s.deps, rec))
				s.reported = rec.Seq
			}
		}
		if s.after-s.reported >= positionEvery {
			s.tell()
		}
		if err := s.out.flush(); err != nil {
			return err
		}
	}
}

// wait returns when there may be something to read. At every heartbeat it sends the
// reader its position.
func (s *subscriber) wait(ctx context.Context) error {
	beat, cancel := context.WithTimeout(ctx, s.deps.Heartbeat)
	defer cancel()
	err := s.deps.History.Wait(beat, s.after)
	if err == nil || beat.Err() == nil || ctx.Err() != nil {
		return err
	}
	if s.after > s.reported {
		s.tell()
	} else {
		s.out.comment("heartbeat")
	}
	return s.out.flush()
}

// tell sends a position event, which moves the reader's Last-Event-ID past events
// outside the filter.
func (s *subscriber) tell() {
	s.out.event("position", s.after, `{"seq":`+strconv.FormatInt(s.after, 10)+`}`)
	s.reported = s.after
}
