package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kazoohook/internal/event"
	"kazoohook/internal/snapshot"
)

// history is a journal under test, with the commands that were applied and the
// promises that were given.
type history struct {
	t    *rapid.T
	tb   testing.TB
	c    *clock
	disk *disk
	j    *Journal

	mu       sync.Mutex
	commands []command
	promised []promise

	faulty   bool     // commands may fail
	appended []answer // appended events whose outcome is not reported yet
	firing   int
}

type promise struct {
	ops     int // operations of the disk when it was given
	number  int64
	machine bool // also after the death of the machine
}

type answer struct {
	rec event.Record
	a   event.Appended
}

// cuts are how many moments of one history are tried.
const cuts = 6

// TestFoldSurvives applies random commands and ends the process, or the machine, at
// random writes and syncs. The journal then is in the state that the fold in memory
// has after one of the commands, and lacks no command that was promised.
func TestFoldSurvives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		h := &history{t: rt, tb: t, c: newClock()}
		dir, err := os.MkdirTemp(memoryDir(t), "fold") //nolint:usetesting // many, and in memory
		if err != nil {
			t.Fatal(err)
		}
		h.disk = record(t, dir)
		o := Options{Dir: dir, Now: h.c.now, open: openRecorded, applied: h.applied, noted: h.disk.noted}
		if h.j, err = Open(t.Context(), o); err != nil {
			rt.Fatal(err)
		}
		begun := h.disk.len()
		h.disk.settled = begun
		most := 25
		if slow {
			most = 6
		}
		for range rapid.IntRange(1, most).Draw(rt, "commands") {
			h.step()
		}
		if err := h.j.Close(); err != nil {
			rt.Fatal(err)
		}
		states := h.states()
		seed := rapid.Uint64().Draw(rt, "cuts")
		r := rand.New(rand.NewPCG(1, seed)) //nolint:gosec // must be repeatable
		for range cuts {
			h.cut(states, begun+r.IntN(h.disk.len()-begun+1), r.IntN(2) == 0, r)
		}
		h.cut(states, h.disk.len(), false, r)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	})
}

// TestFoldSurvivesEveryCut cuts one history at every write and sync.
func TestFoldSurvivesEveryCut(t *testing.T) {
	t.Parallel()
	h := &history{tb: t, c: newClock()}
	dir := memoryDir(t)
	h.disk = record(t, dir)
	var err error
	if h.j, err = Open(t.Context(), Options{Dir: dir, Now: h.c.now, open: openRecorded, applied: h.applied, noted: h.disk.noted}); err != nil {
		t.Fatal(err)
	}
	begun := h.disk.len()
	h.disk.settled = begun
	for i := range int64(4) {
		h.append(sample(i, event.Created))
		h.append(sample(i, event.Edited))
		h.append(content(i))
		h.append(sample(i, event.Deleted))
		h.did(h.j.MoveCursor(t.Context(), "c", i, i+1), false)
	}
	if err := h.j.Close(); err != nil {
		t.Fatal(err)
	}
	states := h.states()
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same every time
	step := 1
	if slow {
		step = 7
	}
	for n := begun; n <= h.disk.len() && !t.Failed(); n += step {
		h.cut(states, n, false, r)
		h.cut(states, n, true, r)
	}
	t.Logf("cut at %d operations", h.disk.len()-begun)
}

func (h *history) applied(cmd command) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r, ok := cmd.(*request); ok { // its memory is reused
		c := *r
		cmd = &c
	}
	h.commands = append(h.commands, cmd)
}

// did notes the promises of a command that succeeded.
func (h *history) did(err error, machine bool) {
	h.tb.Helper()
	if err != nil && !isSoft(err) && (!h.faulty || !errors.Is(err, ErrUnavailable)) {
		h.tb.Fatal(err)
	}
	h.promised = append(h.promised, promise{h.disk.len(), h.j.Applied(), machine})
}

func (h *history) append(r event.Record) {
	h.tb.Helper()
	r.ReceivedAt = h.c.now()
	if r.Source == event.SourceRecovered {
		r.ReceivedAt = h.c.now().Add(-time.Second)
	}
	a, err := h.j.Append(h.tb.Context(), r)
	h.did(err, true)
	if err == nil {
		h.appended = append(h.appended, answer{r, a})
	}
}

// step gives a random command.
func (h *history) step() {
	ctx := h.tb.Context()
	draw := func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(h.t, what) }
	h.c.add(time.Duration(rapid.SampledFrom([]int{0, 0, 1, 3, 70, 7200}).Draw(h.t, "seconds")) * time.Second)
	user := sample(int64(draw(3, "user")), event.Edited)
	signature := func() event.Signature {
		return rapid.SampledFrom([]event.Signature{event.Unsigned, event.SignedRight, event.SignedWrong}).Draw(h.t, "signature")
	}
	asOf := max(0, h.j.Applied()-int64(draw(4, "behind")))
	switch draw(15, "kind") {
	case 0, 1, 2, 3:
		r := sample(int64(draw(3, "user")), rapid.SampledFrom([]event.Action{event.Created, event.Edited, event.Deleted}).Draw(h.t, "action"))
		r.Hidden = draw(5, "hidden") == 0
		r.Signature = signature()
		h.append(r)
	case 4:
		r := content(int64(draw(3, "call")))
		r.Signature = signature()
		h.append(r)
	case 5:
		h.firing++
		user = sample(int64(draw(3, "user")), rapid.SampledFrom([]event.Action{event.Edited, event.Deleted, event.Created}).Draw(h.t, "lost"))
		user.Source = event.SourceRecovered
		user.Firing = event.Firing{ID: fmt.Sprint("f", draw(h.firing+1, "firing")), First: h.c.now().Add(-2 * time.Second), Last: h.c.now()}
		h.append(user)
	case 6:
		if n := len(h.appended); n > 0 {
			i := draw(n, "answer")
			h.j.Acknowledged(h.appended[i].rec, h.appended[i].a, draw(2, "written") == 0)
			h.appended = append(h.appended[:i], h.appended[i+1:]...)
		}
	case 7:
		_, err := h.j.Listed(ctx, snapshot.Page{
			Type: "user", Account: user.AccountID, Pass: 1, AsOf: asOf, Baseline: draw(2, "baseline") == 0, Report: draw(2, "report") == 0,
			Objects: []snapshot.Listed{{ID: user.ObjectID, Name: "U"}, {ID: sample(9, event.Edited).ObjectID}},
		})
		h.did(err, true)
	case 8:
		_, err := h.j.Looked(ctx, snapshot.Look{Type: "user", Account: user.AccountID, ID: user.ObjectID, AsOf: asOf, Found: draw(2, "found") == 0, Name: "L", Report: true})
		h.did(err, true)
	case 9:
		_, err := h.j.Missing(ctx, snapshot.Missing{Type: "user", Account: user.AccountID, ID: user.ObjectID, AsOf: asOf, Report: draw(2, "report") == 0})
		h.did(err, true)
	case 10:
		_, err := h.j.Own(ctx, event.Own{
			Payload: &event.DeadLetter{}, Account: user.AccountID, Object: user.ObjectID, Happening: rapid.SampledFrom([]string{"", "one", "two"}).Draw(h.t, "happening"),
		})
		h.did(err, true)
	case 11:
		at, err := h.j.Cursor(ctx, "c")
		if err != nil {
			h.tb.Fatal(err)
		}
		h.did(h.j.MoveCursor(ctx, "c", at, int64(draw(9, "to"))), false)
		h.did(h.j.SetState(ctx, "k", rapid.SampledFrom([]string{"", "v", "w"}).Draw(h.t, "value")), true)
	default:
		h.deliver(draw)
	}
}

// states returns the state of the fold in memory after each command.
func (h *history) states() map[int64]string {
	f := newFold()
	states := map[int64]string{0: f.String()}
	for i, cmd := range h.commands {
		if n := cmd.head().at.Number; n != int64(i+1) {
			h.tb.Fatalf("command %d has number %d", i+1, n)
		}
		f.apply(h.tb, cmd)
		states[cmd.head().at.Number] = f.String()
	}
	return states
}

// cut opens the journal as it was after n operations of the disk, and checks it.
func (h *history) cut(states map[int64]string, n int, machine bool, r *rand.Rand) {
	h.tb.Helper()
	dir, err := os.MkdirTemp(memoryDir(h.tb), "cut")
	if err != nil {
		h.tb.Fatal(err)
	}
	write(h.tb, dir, h.disk.files(n, machine, r))
	j, err := Open(h.tb.Context(), Options{Dir: dir, Now: h.c.now})
	if err != nil {
		h.tb.Fatalf("cut after %d of %d: %v", n, h.disk.len(), err)
	}
	var number int64
	err = j.pool.Use(h.tb.Context(), func(c *conn) error {
		_, err := c.Ints(h.tb.Context(), "SELECT max((SELECT number FROM journal), ifnull((SELECT max(number) FROM events), 0))", nil, &number)
		return err
	})
	if err != nil {
		h.tb.Fatal(err)
	}
	for _, p := range h.promised {
		if p.ops <= n && (p.machine || !machine) && p.number > number {
			h.tb.Fatalf("cut after %d of %d (machine %v): command %d is lost, the last is %d", n, h.disk.len(), machine, p.number, number)
		}
	}
	if diff := cmp.Diff(states[number], readFold(h.tb, j).String()); diff != "" {
		h.tb.Fatalf("cut after %d of %d (machine %v), command %d (-want +got):\n%s", n, h.disk.len(), machine, number, diff)
	}
	if d := j.Damage(); d.Lost > 0 || d.Err() != nil {
		h.tb.Fatalf("cut after %d of %d (machine %v): %+v", n, h.disk.len(), machine, d)
	}
	if err := errors.Join(j.Close(), os.RemoveAll(dir)); err != nil {
		h.tb.Fatal(err)
	}
}
