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
	"kazoohook/internal/crossbar/crossbartest"
)

// ledger balances what Kazoo fired against what the log told, for any number of
// events: what is settled is forgotten.
type ledger struct {
	mu       sync.Mutex
	open     map[identity]*balance
	high     int64            // greatest seq told
	contents map[int64]uint64 // fingerprints of the last lines, by seq
	remember int64            // how many of them
	killed   bool             // this life began after a SIGKILL
	wrong    []string

	Firings, Lines, Repeats, Wrong int
	Outcomes                       map[crossbartest.Outcome]int
	Sources                        map[string]int
	Events                         map[string]int
}

// balance is one event's account; settled once it was fired and told equally often.
type balance struct {
	fired, told int
	unsure      int // deliveries of which the sender doesn't know the end
	found       int // of those told: by comparing, without a delivery
	last        string
}

// mostWrong is how many violations are quoted.
const mostWrong = 20

// newLedger knows the content of more lines than the journal holds: unread events
// are kept for twice the retention.
func newLedger(o Options) *ledger {
	return &ledger{
		open: map[identity]*balance{}, contents: map[int64]uint64{},
		remember: 10_000 + int64(3*o.Rate*o.Retention.Seconds()),
		Outcomes: map[crossbartest.Outcome]int{}, Sources: map[string]int{}, Events: map[string]int{},
	}
}

// fired books a firing that is over. However it ended, there must be one event:
// what was not delivered is in Kazoo's record of attempts.
func (l *ledger) fired(f crossbartest.Firing) {
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
	b.last = fmt.Sprintf("%s at %s, %d tries, %d resends, %s", f.Outcome, f.Ended.UTC().Format(time.TimeOnly), f.Tries, f.Resends, f.ClientError)
	l.settle(id, b)
}

// sent books a delivery that Kazoo didn't make; sure says that it was answered 200.
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

// told books an event's line.
func (l *ledger) told(raw []byte) {
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
		l.violation("seq %d (%s) was told after %d", e.Seq, e.Event, l.high)
	}
	l.high = e.Seq
	l.contents[e.Seq] = content
	delete(l.contents, e.Seq-l.remember)
	l.Sources[e.Source]++
	l.Events[e.Event]++
	id := e.identity()
	b := l.of(id)
	b.told++
	if e.Source == "resync" {
		b.found++
	}
	b.last = fmt.Sprintf("%s, seq %d, %s", e.Event, e.Seq, e.Source)
	l.settle(id, b)
}

// repeated judges a line that was told before. Only a kill excuses it: the
// consumer's cursor is written behind its lines.
func (l *ledger) repeated(e *line, content uint64) {
	l.Repeats++
	if !l.killed {
		l.violation("seq %d (%s) was told again, though nothing was killed", e.Seq, e.Event)
	}
	if before, ok := l.contents[e.Seq]; ok && before != content {
		l.violation("seq %d (%s) was told with another content", e.Seq, e.Event)
	}
}

// objects counts the objects of which a creation was told: what is known of them
// outlives their events.
func (l *ledger) objects() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, told := range l.Events {
		if strings.HasSuffix(name, ".created") {
			n += told
		}
	}
	return n
}

// begin says that the next lines are of a new life.
func (l *ledger) begin(killed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.killed = killed
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
	if b.fired == b.told && b.unsure == 0 {
		delete(l.open, id)
	}
}

// balanced says that nothing is open but what may remain so. What was found by
// comparing may never have been fired: Kazoo fires nothing for a hook that it
// has switched off.
func (b *balance) balanced() bool {
	return b.told >= b.fired && b.told <= max(b.fired+b.unsure, b.found)
}

// outstanding counts events that were fired and not told, or told and not fired.
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

// close lists what is wrong, with what did not balance in the end.
func (l *ledger) close(journal []trial.Event) (violations []string, total int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, b := range l.open {
		if !b.balanced() {
			l.violation("%s %s %s: besides what was settled, fired %d times and told %d times; last: %s", id.hook, id.what, id.id, b.fired, b.told, b.last)
		}
	}
	l.compare(journal)
	return slices.Clone(l.wrong), l.Wrong
}

// compare proves that what the journal still holds is what was told: without a
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
			l.violation("seq %d (%s) is in the journal and was not told, or otherwise", ev.Seq, ev.Event)
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
