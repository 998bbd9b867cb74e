package delivery

import (
	"container/heap"
	"slices"
	"strconv"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// maxAhead is how many deliveries of a destination are read ahead. The rest of the
// backlog waits behind the cursor.
const maxAhead = 10_000

// item is one waiting delivery.
type item struct {
	seq         int64
	key         string // ordering key
	redelivered bool
	attempts    int       // attempts that count towards the schedule
	base        int64     // successes of the destination when the first attempt began
	due         time.Time // when the next attempt is due, with a monotonic reading
	phase       phase
	until       time.Time     // when an undecided item stops waiting for a look-up
	account     string        // of an undecided item, once it is read
	read        bool          // the account was read, or can't be
	unreadable  bool          // the event of an undecided item can't be read
	rec         *event.Record // kept until the first attempt; nil: it must be read
	lane        *lane

	row    *journal.Judged // the row that the journal doesn't have yet; nil: it has it
	judged time.Time       // when it was judged, if it had no row then
	done   bool            // delivered at once, which isn't recorded yet

	ordered bool // it is to be redelivered: of the attempt that runs, only a success counts
	again   bool // load must read it again when it is no longer busy
}

// phase is the state of an item.
type phase uint8

const (
	idle      phase = iota // waits until it is due and its lane's first
	undecided              // its account is being looked up
	busy                   // its attempt runs, or the outcome isn't recorded yet
	outdated               // its row may have changed while it was busy: load reads it again
)

// lane holds items that wait for each other: those of one ordering key. Only the first
// may be attempted.
type lane struct {
	key   string
	items []*item // redelivered ones first, then by seq
	busy  int     // items in phase busy
	turn  int64   // when the lane was last attempted, as a count
	place int     // index in window.ready; -1: not there
}

// window is the part of a destination's backlog in memory: the next deliveries, up to
// maxAhead.
type window struct {
	order Order
	items map[int64]*item
	lanes map[string]*lane
	ready lanes // lanes whose first item is idle, soonest first
	turns int64

	held, heldBytes int // events that items hold in memory, and the bytes of their bodies
}

func newWindow(order Order) *window {
	return &window{order: order, items: map[int64]*item{}, lanes: map[string]*lane{}}
}

// lanes is a heap, ordered by when the first items are due.
type lanes []*lane

// Len, Less and Swap are sort's.
func (h lanes) Len() int { return len(h) }
func (h lanes) Less(a, b int) bool {
	x, y := h[a].items[0], h[b].items[0]
	if x.due.Equal(y.due) {
		return x.seq < y.seq
	}
	return x.due.Before(y.due)
}

func (h lanes) Swap(a, b int) {
	h[a], h[b] = h[b], h[a]
	h[a].place, h[b].place = a, b
}

// Push is container/heap's.
func (h *lanes) Push(x any) {
	l, _ := x.(*lane)
	l.place = len(*h)
	*h = append(*h, l)
}

// Pop is container/heap's.
func (h *lanes) Pop() any {
	old := *h
	l := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	l.place = -1
	return l
}

// laneKey returns the lane of an item; items without an ordering key have their own.
func (w *window) laneKey(it *item) string {
	switch {
	case w.order == OrderAll:
		return ""
	case w.order == OrderNone || it.key == "":
		return "#" + strconv.FormatInt(it.seq, 10)
	}
	return it.key
}

func before(a, b *item) int {
	switch {
	case a.redelivered != b.redelivered && a.redelivered:
		return -1
	case a.redelivered != b.redelivered:
		return 1
	case a.seq < b.seq:
		return -1
	}
	return 1
}

// add adds an item; an item that is there already stays as it is.
func (w *window) add(it *item) {
	if w.items[it.seq] != nil {
		return
	}
	w.items[it.seq] = it
	if it.rec != nil {
		w.held++
		w.heldBytes += len(it.rec.Body)
	}
	key := w.laneKey(it)
	l := w.lanes[key]
	if l == nil {
		l = &lane{key: key, place: -1}
		w.lanes[key] = l
	}
	it.lane = l
	at := len(l.items)
	if at > 0 && before(it, l.items[at-1]) < 0 {
		at, _ = slices.BinarySearchFunc(l.items, it, before)
	}
	l.items = slices.Insert(l.items, at, it)
	if it.phase == busy {
		l.busy++
	}
	w.settle(l)
}

// take removes the event from an item's memory and returns it; nil if there is none.
func (w *window) take(it *item) *event.Record {
	rec := it.rec
	if rec != nil {
		w.held--
		w.heldBytes -= len(rec.Body)
	}
	it.rec = nil
	return rec
}

// remove removes an item.
func (w *window) remove(it *item) {
	l := it.lane
	delete(w.items, it.seq)
	if it.phase == busy {
		l.busy--
	}
	if i := slices.Index(l.items, it); i == 0 {
		l.items[0] = nil
		l.items = l.items[1:]
	} else {
		l.items = slices.Delete(l.items, i, i+1)
	}
	w.take(it)
	w.settle(l)
	if len(l.items) == 0 {
		delete(w.lanes, l.key)
	}
}

// set changes the phase of an item.
func (w *window) set(it *item, p phase) {
	switch {
	case it.phase != busy && p == busy:
		it.lane.busy++
	case it.phase == busy && p != busy:
		it.lane.busy--
	}
	it.phase = p
	w.settle(it.lane)
}

// settle puts a lane into its place in ready, or out of it, after a change.
func (w *window) settle(l *lane) {
	can := l.busy == 0 && len(l.items) > 0 && l.items[0].phase == idle
	switch {
	case can && l.place < 0:
		heap.Push(&w.ready, l)
	case can:
		heap.Fix(&w.ready, l.place)
	case l.place >= 0:
		w.drop(l)
	}
}

// drop takes a lane out of ready. The lane may be empty, so the heap must not compare
// it.
func (w *window) drop(l *lane) {
	last := len(w.ready) - 1
	at := l.place
	if at != last {
		w.ready.Swap(at, last)
	}
	w.ready.Pop()
	if at != last {
		heap.Fix(&w.ready, at)
	}
}

// first returns the item that is due soonest, nil if none can be attempted.
func (w *window) first() *item {
	if len(w.ready) == 0 {
		return nil
	}
	return w.ready[0].items[0]
}

// startable counts the due items, up to most.
func (w *window) startable(now time.Time, most int) int {
	n := 0
	var count func(i int)
	count = func(i int) {
		if n >= most || i >= len(w.ready) || w.ready[i].items[0].due.After(now) {
			return
		}
		n++
		count(2*i + 1)
		count(2*i + 2)
	}
	count(0)
	return n
}

// probe returns the item for the next probe: the first of the lane that was attempted
// longest ago.
func (w *window) probe() *item {
	var next *lane
	for _, l := range w.ready {
		if next == nil || l.turn < next.turn || l.turn == next.turn && l.items[0].seq < next.items[0].seq {
			next = l
		}
	}
	if next == nil {
		return nil
	}
	return next.items[0]
}

// reorder sorts all items again for another order.
func (w *window) reorder(order Order) {
	items := w.items
	*w = *newWindow(order)
	for _, it := range items {
		w.add(it)
	}
}

// clear removes every item that can be read from the journal again. Busy ones are read
// again when they no longer are.
func (w *window) clear() {
	for _, it := range w.items {
		switch {
		case it.row != nil:
		case it.phase == busy:
			it.again = true
		default:
			w.remove(it)
		}
	}
}
