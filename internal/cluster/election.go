package cluster

import (
	"sync"
	"time"
)

// Limits of the election, in this node's monotonic time.
const (
	tickEvery  = 500 * time.Millisecond // between two ticks of a leader; at most 1 s
	electAfter = 3 * time.Second        // without a tick, a node proposes itself
	fenceAfter = 2 * time.Second        // without its own tick read back, a leader stops acting
)

// election is what a node knows from the log about who leads. A term is one leader's
// turn. If two nodes want the same term, the first in the log gets it.
type election struct {
	self string               // this node
	now  func() time.Duration // monotonic

	mu       sync.Mutex
	boot     string // names this process to the journal
	term     uint64
	leader   string
	read     time.Duration // when this node read the last tick or election
	sent     time.Duration // when the newest of its own ticks that came back was sent; 0: none in this term
	won      time.Duration // when it was elected
	proposed uint64        // the newest term that it has proposed itself for
	asked    time.Duration // when it proposed that
}

func newElection(self string, now func() time.Duration) *election {
	return &election{self: self, now: now, read: now()}
}

// begin is called when the node begins to read the log, as a process called boot.
func (e *election) begin(boot string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.boot, e.read = boot, e.now()
}

// elected is called when an election was applied. If this node won it in an earlier
// process, it doesn't lead: its clock did not run in between, and the log ignores what
// this process would give it as the leader.
func (e *election) elected(term uint64, leader, boot string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if term <= e.term {
		return
	}
	e.term, e.leader, e.read, e.won, e.sent = term, leader, e.now(), e.now(), 0
	if leader == e.self && boot != e.boot {
		e.leader, e.read = "", e.now()-electAfter
	}
}

// ticked is called when a tick was applied.
func (e *election) ticked(term uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if term == e.term {
		e.read = e.now()
	}
}

// readBack is called when a tick that this node sent at the time sent was applied here.
func (e *election) readBack(term uint64, sent time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if term == e.term && e.leader == e.self {
		e.sent = max(e.sent, sent)
	}
}

// resigned is called when the leader says that it stops: nobody waits for its ticks.
func (e *election) resigned() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.leader != e.self {
		e.read = e.now() - electAfter
	}
}

// yield makes this node stop leading, so that another takes over.
func (e *election) yield() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.leader == e.self {
		e.leader, e.read = "", e.now()
	}
}

// leads reports whether this node may begin something that only the leader does.
func (e *election) leads() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fresh(fenceAfter)
}

// turn returns the term in which this node leads, if it does. A turn ends with another
// node's election, or when another may have been elected unnoticed.
func (e *election) turn() (term uint64, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.term, e.fresh(electAfter)
}

func (e *election) fresh(within time.Duration) bool {
	return e.leader == e.self && e.sent > 0 && e.now()-e.sent < within
}

// silent reports whether the log has had no tick for long.
func (e *election) silent() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now()-e.read > 2*electAfter
}

// current returns the newest term and the leader elected in it.
func (e *election) current() (term uint64, leader string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.term, e.leader
}

// elapsed returns the time since this node's newest tick that came back was sent, or
// since its election if that was later.
func (e *election) elapsed() (now, elapsed time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now = e.now()
	return now, now - max(e.won, e.sent)
}

// action is what a node must append to the log next.
type action struct {
	tick, lead bool
	term       uint64
}

// next says what the node must append now, if anything. A tick is due tickEvery after
// the last one that came back was sent.
func (e *election) next() action {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	if e.leader == e.self && e.term > 0 && now-e.read < electAfter {
		if e.sent > 0 && now-e.sent < tickEvery {
			return action{}
		}
		return action{tick: true, term: e.term}
	}
	if now-e.read < electAfter || (e.proposed > e.term && now-e.asked < electAfter) {
		return action{}
	}
	e.proposed, e.asked = e.term+1, now
	return action{lead: true, term: e.term + 1}
}
