package endurance

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"kazoohook/bench/chaos/trial"
	"kazoohook/internal/fakekazoo"
)

// ledger compares what Kazoo fired with the lines of the log. An event that was
// fired and logged equally often is removed, so that memory doesn't grow.
type ledger struct {
	mu       sync.Mutex
	open     map[identity]*balance
	high     int64            // greatest seq logged
	contents map[int64]uint64 // fingerprints of the last lines, by seq
	remember int64            // how many fingerprints are kept
	killed   bool             // this life began after a SIGKILL
	kills    int              // lives that began after a SIGKILL
	wrong    []string

	Firings, Lines, Repeats, Wrong int
	Outcomes                       map[fakekazoo.Outcome]int
	Sources                        map[string]int
	Events                         map[string]int
}

// balance counts one event; it is settled once it was fired and logged equally often.
type balance struct {
	fired, logged int
	unsure        int // requests whose outcome the sender doesn't know
	found         int // of those logged: found by comparing, without a request
	last          string
}

// mostWrong is how many violations are quoted.
const mostWrong = 20

// newLedger makes a ledger. It remembers the content of more lines than the journal
// holds, because unread events are kept for twice the retention.
func newLedger(o Options) *ledger {
	return &ledger{
		open: map[identity]*balance{}, contents: map[int64]uint64{},
		remember: 10_000 + int64(3*o.Rate*o.Retention.Seconds()),
		Outcomes: map[fakekazoo.Outcome]int{}, Sources: map[string]int{}, Events: map[string]int{},
	}
}

// fired counts a firing that has ended. There must be one event for it in any case:
// an undelivered one is in Kazoo's record of failed attempts.
func (l *ledger) fired(f fakekazoo.Firing) {
	id, err := fired(f)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.violation("Kazoo sent what can't be read: %v: %.300q", err, f.Body)
		return
	}
	l.Firings++
	l.Outcomes[f.Outcome]++
	b := l.of(id)
	b.fired++
	if again := f.Tries + f.Resends - 1; l.kills > 0 && again > 0 && !id.unique() {
		b.unsure += again // requests stored before a crash can't be compared
	}
	b.last = fmt.Sprintf("%s at %s, %d tries, %d resends, %s", f.Outcome, f.Ended.UTC().Format(time.TimeOnly), f.Tries, f.Resends, f.ClientError)
	l.settle(id, b)
}

// sent counts a request that Kazoo didn't make; sure says that the answer was 200.
func (l *ledger) sent(id identity, sure bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.of(id)
	if sure {
		b.fired++
		l.Firings++
	} else {
		b.unsure++
	}
	l.settle(id, b)
}

// logged counts an event's line.
func (l *ledger) logged(raw []byte) {
	var e line
	err := json.Unmarshal(raw, &e)
	known, errKnown := trial.ParseEvent(raw)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || errKnown != nil {
		l.violation("a line can't be read: %v %v: %.300q", err, errKnown, raw)
		return
	}
	l.Lines++
	content := fingerprint(known.Content())
	if e.Seq <= l.high {
		l.repeated(&e, content)
		return
	}
	if e.Seq != l.high+1 {
		l.violation("seq %d (%s) was logged after %d", e.Seq, e.Event, l.high)
	}
	l.high = e.Seq
	l.contents[e.Seq] = content
	delete(l.contents, e.Seq-l.remember)
	l.Sources[e.Source]++
	l.Events[e.Event]++
	if e.Source == "receiver" {
		return // the receiver's own event: Kazoo fired nothing
	}
	id := e.identity()
	b := l.of(id)
	b.logged++
	if e.Source == "resync" {
		b.found++
	}
	b.last = fmt.Sprintf("%s, seq %d, %s", e.Event, e.Seq, e.Source)
	l.settle(id, b)
}

// repeated judges a line that was logged before. Only a kill excuses it, because the
// consumer's cursor is written after its lines.
func (l *ledger) repeated(e *line, content uint64) {
	l.Repeats++
	if !l.killed {
		l.violation("seq %d (%s) was logged again, though nothing was killed", e.Seq, e.Event)
	}
	if before, ok := l.contents[e.Seq]; ok && before != content {
		l.violation("seq %d (%s) was logged with another content", e.Seq, e.Event)
	}
}

// objects counts the objects whose creation was logged: what is known of them
// outlives their events.
func (l *ledger) objects() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, logged := range l.Events {
		if strings.HasSuffix(name, ".created") {
			n += logged
		}
	}
	return n
}

// begin tells the ledger that the next lines are of a new life.
func (l *ledger) begin(killed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.killed = killed
	if killed {
		l.kills++
	}
}

func (l *ledger) of(id identity) *balance {
	b := l.open[id]
	if b == nil {
		b = &balance{}
		l.open[id] = b
	}
	return b
}

func (l *ledger) settle(id identity, b *balance) {
	if b.fired == b.logged && b.unsure == 0 {
		delete(l.open, id)
	}
}

// balanced reports that no event is missing or left over, except where that is
// allowed. A deletion found by comparing may never have been fired: Kazoo fires
// nothing for a hook that it has switched off.
func (b *balance) balanced() bool {
	return b.logged >= b.fired && b.logged <= max(b.fired+b.unsure, b.found)
}

// outstanding counts events that were fired and not logged, or logged and not fired.
func (l *ledger) outstanding() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.open {
		if !b.balanced() {
			n++
		}
	}
	return n
}

// close returns the violations, including events that are still not balanced.
func (l *ledger) close(journal []trial.Event) (violations []string, total int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, b := range l.open {
		if !b.balanced() {
			l.violation("%s %s %s: besides what was settled, fired %d times and logged %d times; last: %s", id.hook, id.what, id.id, b.fired, b.logged, b.last)
		}
	}
	l.compare(journal)
	return slices.Clone(l.wrong), l.Wrong
}

// compare proves that the journal's events are those that were logged: without a
// hole, up to the last line, each with its content.
func (l *ledger) compare(journal []trial.Event) {
	if len(journal) == 0 {
		l.violation("the journal is empty")
		return
	}
	for i, ev := range journal {
		if i > 0 && ev.Seq != journal[i-1].Seq+1 {
			l.violation("the journal has seq %d after %d", ev.Seq, journal[i-1].Seq)
		}
		if before, ok := l.contents[ev.Seq]; !ok || before != fingerprint(ev.Content()) {
			l.violation("seq %d (%s) is in the journal and was not logged, or with another content", ev.Seq, ev.Event)
		}
	}
	if last := journal[len(journal)-1].Seq; last != l.high {
		l.violation("the journal ends with seq %d, the log with %d", last, l.high)
	}
}

func (l *ledger) violation(format string, args ...any) {
	if l.Wrong++; l.Wrong <= mostWrong {
		l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
	}
}

func fingerprint(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s)) // never fails
	return h.Sum64()
}
