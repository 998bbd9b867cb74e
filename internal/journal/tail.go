package journal

import (
	"sync"

	"kazoohook/internal/event"
)

// tail is what the journal keeps in memory of its newest events: the events
// themselves, for readers that keep up, and what the tables that follow from
// the events don't know yet. Only the writer changes it, and only to what is
// on disk.
type tail struct {
	mu      sync.RWMutex
	first   int64 // oldest retained event; last+1 if there is none
	last    int64 // newest event
	closed  bool
	changed chan struct{} // closed when last grows; nil while nobody waits
	recent  recent

	indexed int64                   // the tables know all events up to this one
	pending []pendingEntry          // of event indexed+1+i
	keys    map[event.Key]int64     // newest pending event with this RuleContent key
	life    map[event.Key]lifecycle // where newer than the table
	known   map[nameKey]struct{}    // names that are in the table or in fresh
	fresh   []nameKey               // names that may not be in the table
}

// pendingEntry is what the index will say of an event.
type pendingEntry struct {
	identity, account, name int64
	received                int64
	action                  event.Action
	late                    bool
}

type nameKey struct {
	kind byte // 'a' account, 'e' event name
	name string
}

// maxKnown bounds the memory of names; forgetting one costs a needless insert.
const maxKnown = 1 << 13

func newTail() *tail {
	return &tail{
		first: 1,
		keys:  map[event.Key]int64{},
		life:  map[event.Key]lifecycle{},
		known: map[nameKey]struct{}{},
	}
}

// grow makes stored events visible; wake tells those who wait for them.
func (t *tail) grow(rows []row, life map[event.Key]lifecycle) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range rows {
		t.note(&rows[i])
		t.recent.push(rows[i].Record)
	}
	for k, l := range life {
		t.life[k] = l
	}
}

// wake ends every wait for an event that is there now.
func (t *tail) wake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// note adds one event to what the tables don't know.
func (t *tail) note(r *row) {
	t.last = r.Seq
	received := nanos(r.ReceivedAt)
	t.pending = append(t.pending, pendingEntry{
		identity: identityHash(r.ObjectID, r.Dedupe.Key),
		account:  accountHash(r.AccountID),
		name:     nameHash(r.Event),
		received: received,
		action:   r.Action,
		late:     isLate(r, received),
	})
	if r.Dedupe.Rule == event.RuleContent {
		t.keys[r.Dedupe.Key] = r.Seq
	}
	t.learn(nameKey{'a', r.AccountID})
	t.learn(nameKey{'e', r.Event})
}

func (t *tail) learn(n nameKey) {
	if _, ok := t.known[n]; ok || n.name == "" {
		return
	}
	if len(t.known) >= maxKnown {
		clear(t.known)
	}
	t.known[n] = struct{}{}
	t.fresh = append(t.fresh, n)
}

// seqAt is the event of a pending entry.
func (t *tail) seqAt(i int) int64 { return t.indexed + 1 + int64(i) }

// wait returns a channel that is closed when there is an event after seq, or
// nil if there is one already.
func (t *tail) wait(seq int64) (<-chan struct{}, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.last > seq:
		return nil, nil
	case t.closed:
		return nil, ErrClosed
	case t.changed == nil:
		t.changed = make(chan struct{})
	}
	return t.changed, nil
}

// close wakes everybody who waits.
func (t *tail) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.wake()
}

func (t *tail) bounds() (first, last int64) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.first, t.last
}

// lateAfter is how far the received time may be before that of the append
// without being indexed by itself: much longer than an append waits.
const lateAfter = int64(reorderMargin)

// isLate: the received time doesn't follow from the event's place.
func isLate(r *row, received int64) bool {
	at := int64(r.id.Time()) * 1e6
	return received < at-lateAfter || received >= at+1e6
}
