package delivery

import (
	"context"
	"time"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/journal"
)

// Status is the state of a destination.
type Status struct {
	Name string
	Type Type
	// State is StatePaused, StateRetrying if the last attempt failed, or StateOK.
	State    State
	PausedBy journal.Pause
	Since    time.Time // when it was last paused or resumed

	// Waiting counts waiting events, also those whose filters were not evaluated yet.
	// Some of these may not match.
	Waiting       int64
	NotJudged     int64 // the part of Waiting whose filters were not evaluated yet
	Running       int   // running attempts
	Dead          int64
	OldestWaiting time.Duration // age of the oldest waiting event; 0 if there is none

	LastAt      time.Time // when the last attempt began; zero: there was none
	LastError   string    // error of the last attempt; "": it succeeded
	LastStatus  string    // its answer in a few words
	LastExcerpt string

	Delivered       int64 // successful deliveries, ever
	DeliveredMinute int   // within the last minute
}

// State is the state of a destination in a word.
type State string

// The states.
const (
	StateOK       State = "ok"
	StateRetrying State = "retrying"
	StatePaused   State = "paused"
)

// Status returns the state of each destination, by name.
func (e *Engine) Status(ctx context.Context) ([]Status, error) {
	runners := e.all()
	list := make([]Status, 0, len(runners))
	if len(runners) == 0 {
		return list, nil
	}
	// Read memory first: an event that is written in between counts twice, but none is
	// missed.
	memory := make([]inMemory, len(runners))
	for i, r := range runners {
		memory[i] = r.unwritten()
	}
	states, err := e.opt.Journal.Destinations(ctx)
	if err != nil {
		return nil, err
	}
	last, err := e.opt.Journal.Last(ctx)
	if err != nil {
		return nil, err
	}
	known := map[string]*journal.DestinationState{}
	for i := range states {
		known[states[i].Name] = &states[i]
	}
	for i, r := range runners {
		s := r.status()
		if d := known[r.name]; d != nil {
			m := memory[i]
			s.NotJudged = max(0, last-m.cursor)
			s.Waiting, s.Dead = d.Waiting+m.rowless+s.NotJudged, d.Dead
			oldest := d.Oldest
			if oldest == 0 {
				oldest = m.oldest
			}
			if oldest == 0 && s.NotJudged > 0 {
				oldest = m.cursor + 1
			}
			s.OldestWaiting = e.age(ctx, oldest)
		}
		list = append(list, s)
	}
	return list, nil
}

// inMemory is what waits and isn't in the journal's table yet.
type inMemory struct {
	cursor, rowless int64
	oldest          int64 // oldest event without a row; 0: none
}

func (r *runner) unwritten() inMemory {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := inMemory{cursor: r.cursor, rowless: int64(len(r.rowless))}
	if len(r.rowless) > 0 {
		m.oldest = r.rowless[0].seq
	}
	return m
}

// status returns the part of Status that is in memory.
func (r *runner) status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Status{
		Name: r.name, Type: r.dest.Type, State: StateOK, PausedBy: r.paused, Since: r.since, Running: r.running,
		LastAt: r.last.at, LastError: r.last.error, LastStatus: r.last.status, LastExcerpt: r.last.excerpt,
		Delivered: r.accepted, DeliveredMinute: r.m.delivered.within(time.Now()),
	}
	switch {
	case r.paused != journal.NotPaused:
		s.State = StatePaused
	case r.last.error != "":
		s.State = StateRetrying
	}
	return s
}

// age returns the time since an event was received; 0 if it isn't known.
func (e *Engine) age(ctx context.Context, seq int64) time.Duration {
	if seq == 0 {
		return 0
	}
	recs, _, err := e.opt.Journal.Kept(ctx, []int64{seq})
	if err != nil || len(recs) == 0 {
		return 0
	}
	id, err := ulid.ParseStrict(recs[0].ID)
	if err != nil {
		return 0
	}
	return max(0, time.Since(time.UnixMilli(int64(id.Time()))))
}

// perMinute counts occurrences in the last minute, by the second.
type perMinute struct {
	counts [60]int
	second int64 // of the newest count
}

func (p *perMinute) advance(now time.Time) {
	second := now.Unix()
	if second-p.second >= int64(len(p.counts)) || second < p.second {
		p.counts = [60]int{}
		p.second = second
	}
	for p.second < second {
		p.second++
		p.counts[p.second%60] = 0
	}
}

func (p *perMinute) add(now time.Time) {
	p.advance(now)
	p.counts[p.second%60]++
}

func (p *perMinute) within(now time.Time) (n int) {
	p.advance(now)
	for _, c := range p.counts {
		n += c
	}
	return n
}
