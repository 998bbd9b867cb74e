package tail

import (
	"slices"
	"sync"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/tables"
)

// Tail is the end of the journal as readers see it: the bounds, the newest
// events in memory for readers that keep up, and the readers that wait. Only
// the writer changes it, and only to what is on disk.
type Tail struct {
	mu      sync.RWMutex
	first   int64         // oldest retained event; last+1 if there is none
	last    int64         // newest event
	ended   error         // why nothing can be read any longer
	changed chan struct{} // closed when last grows; nil while nobody waits

	recent []event.Record // the newest events, contiguous
	bytes  int            // of bodies
}

const (
	recentMax      = 1024
	recentMaxBytes = 4 << 20
)

// New returns a Tail of a journal that holds the events from first to last.
func New(first, last int64) *Tail { return &Tail{first: first, last: last} }

// Grow makes stored events visible. Wake then wakes the readers that wait for
// them.
func (t *Tail) Grow(rows []tables.Row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range rows {
		t.last = rows[i].Seq
		t.recent = append(t.recent, rows[i].Record)
		t.bytes += len(rows[i].Body)
	}
	for len(t.recent) > recentMax || t.bytes > recentMaxBytes {
		half := (len(t.recent) + 1) / 2
		for i := range half {
			t.bytes -= len(t.recent[i].Body)
		}
		t.recent = slices.Delete(t.recent, 0, half)
	}
}

// Read returns up to limit events after seq if they are in memory, and the number of
// the newest event.
func (t *Tail) Read(seq int64, limit int) (recs []event.Record, last int64, err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.ended != nil {
		return nil, 0, t.ended
	}
	seq = max(seq, t.first-1)
	if len(t.recent) > 0 && seq < t.last && seq+1 >= t.recent[0].Seq {
		kept := t.recent[seq+1-t.recent[0].Seq:]
		recs = slices.Clone(kept[:min(limit, len(kept))])
	}
	return recs, t.last, nil
}

// Wait returns a channel that is closed when there is an event after seq, or
// nil if there is one already.
func (t *Tail) Wait(seq int64) (<-chan struct{}, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.last > seq:
		return nil, nil
	case t.ended != nil:
		return nil, t.ended
	case t.changed == nil:
		t.changed = make(chan struct{})
	}
	return t.changed, nil
}

// Wake wakes the readers that wait for an event.
func (t *Tail) Wake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// End wakes all readers that wait; they and later reads get err.
func (t *Tail) End(err error) {
	t.mu.Lock()
	t.ended = err
	t.mu.Unlock()
	t.Wake()
}

// Removed notes that events up to a number are no longer there.
func (t *Tail) Removed(through int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.first = through + 1
}

// Bounds returns the numbers of the oldest and of the newest event. If there is none, first
// is last+1.
func (t *Tail) Bounds() (first, last int64) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.first, t.last
}

// Skip skips the numbers up to last.
func (t *Tail) Skip(last int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last, t.recent, t.bytes = last, nil, 0
}
