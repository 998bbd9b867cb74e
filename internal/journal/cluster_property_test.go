package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// errLost is the error of a log that did not answer in time.
var errLost = errors.New("no answer in time")

// shouting is a rule for tests: from version 2 on, values are stored in capitals.
func shouting(fold int, cmd command) command {
	switch cmd := cmd.(type) {
	case *kept:
		if fold >= 2 {
			return &kept{header: cmd.header, Key: cmd.Key, Value: strings.ToUpper(cmd.Value), First: cmd.First}
		}
	case *setting:
		if fold >= 2 {
			return &setting{header: cmd.header, Key: cmd.Key, Value: strings.ToUpper(cmd.Value)}
		}
	}
	return cmd
}

// checks limits how many cases a property test tries; further cases do nothing.
func checks(most int32) func() bool {
	var n atomic.Int32
	return func() bool { return n.Add(1) <= most }
}

// drawn is a cluster to which things happen at random.
type drawn struct {
	*cluster
	rt     *rapid.T
	h      *history
	leader int
	skew   func(time.Duration)      // lets time pass for all
	jump   func(int, time.Duration) // makes one wall clock jump
}

func newDrawn(t *testing.T, rt *rapid.T, first *disk) *drawn {
	d := &drawn{rt: rt, h: &history{t: rt, tb: t, faulty: true, disk: &disk{}}}
	clocks := [3]*clock{newClock(), newClock(), newClock()}
	d.cluster = newCluster(t, 3, func(i int, o *Options) {
		o.Now, o.fold, o.rule = clocks[i].now, 2, shouting
		if i == 0 && first != nil {
			o.Dir, o.open = first.dir, openRecorded
		}
	})
	d.h.c, d.h.j = clocks[0], d.nodes[0].Journal
	// The clocks advance together, except for jumps.
	d.skew = func(by time.Duration) {
		for _, c := range clocks {
			c.add(by)
		}
	}
	d.jump = func(i int, by time.Duration) { clocks[i].add(by) }
	return d
}

func (d *drawn) draw(n int, what string) int { return rapid.IntRange(0, n-1).Draw(d.rt, what) }

// faults lets an entry arrive, arrive twice, arrive without an acknowledgement, arrive
// after later ones or in one entry with the next, or get lost.
func (d *drawn) faults() {
	seed := rapid.Uint64().Draw(d.rt, "faults")
	r := rand.New(rand.NewPCG(3, seed)) //nolint:gosec // must be repeatable
	d.log.setFault(func(_ string, data []byte) (int, error) {
		switch r.IntN(14) {
		case 0:
			return 2, nil
		case 1:
			return 1, errLost
		case 2:
			return 0, errLost
		case 3:
			d.log.late = append(d.log.late, data)
			return 0, errLost
		case 4, 5:
			if isApart(data) {
				return 0, errLost
			}
			d.log.held = append(d.log.held, data...)
			return 0, errLost
		}
		return 1, nil
	})
}

// happen does something at random.
func (d *drawn) happen() {
	by := time.Duration(d.draw(4000, "milliseconds")) * time.Millisecond
	d.skew(by)
	n := d.draw(3, "node")
	switch d.draw(16, "what") {
	case 0:
		d.log.setFault(nil)
		d.restart(n)
		if n == d.leader {
			d.elect(d.draw(3, "leader"))
		}
		d.tick(d.leader, 0)
		d.faults()
	case 1:
		d.log.setFault(nil)
		d.elect(n)
		d.faults()
	case 2:
		d.log.setFault(nil)
		d.tick(d.leader, by)
		d.faults()
	case 3:
		d.jump(n, time.Duration(d.draw(7200, "jump")-3600)*time.Second)
	case 4: // a node is replaced by a copy of another
		from := (n + 1) % 3
		if n == 0 || n == d.leader {
			return
		}
		d.log.setFault(nil)
		d.settle()
		must(d.t, errors.Join(d.nodes[n].Close(), d.nodes[from].Close()))
		copyJournal(d.t, d.nodes[from].opt.Dir, d.nodes[n].opt.Dir)
		d.open(n)
		d.open(from)
		if from == d.leader {
			d.elect(n)
		}
		d.tick(d.leader, 0)
		d.faults()
	case 5:
		d.h.did(d.nodes[n].Keep(ctxOf(d.t), "k", rapid.SampledFrom([]string{"", "v", "w"}).Draw(d.rt, "kept")), true)
	case 6:
		if d.draw(4, "raise") == 0 {
			d.h.did(d.nodes[n].RaiseFold(ctxOf(d.t), 2), true)
		}
	case 7:
		d.h.did(d.nodes[n].AddMember(ctxOf(d.t), fmt.Sprint("n", d.draw(3, "member")), fmt.Sprint(d.draw(2, "id"))), true)
	case 8:
		d.h.did(d.nodes[n].RemoveMember(ctxOf(d.t), fmt.Sprint("n", d.draw(3, "member"))), true)
	case 9:
		if d.draw(6, "rename") == 0 {
			d.h.did(d.nodes[n].agree(ctxOf(d.t), &renamed{Name: "newname1"}), true)
		}
	default:
		d.h.j = d.nodes[n].Journal
		if d.draw(3, "by the leader") > 0 {
			d.h.j = d.nodes[d.leader].Journal
		}
		d.h.step()
	}
}

func (d *drawn) elect(i int) {
	d.leader = i
	d.lead(i)
}

// TestClusterFoldsAlike: after random commands, faults, restarts, elections, jumps of
// clocks and copies, three journals hold the same.
func TestClusterFoldsAlike(t *testing.T) {
	t.Parallel()
	more := checks(25)
	if slow {
		more = checks(4)
	}
	rapid.Check(t, func(rt *rapid.T) {
		if !more() {
			return
		}
		d := newDrawn(t, rt, nil)
		d.faults()
		for range rapid.IntRange(5, 40).Draw(rt, "commands") {
			d.happen()
		}
		d.log.setFault(nil)
		d.tick(d.leader, time.Second)
		d.alike()
		for _, n := range d.nodes {
			must(t, n.Close())
		}
	})
}

// TestClusterAfterPowerLoss cuts the power of a node at random writes and syncs. The
// node applies again from the log what it lost.
func TestClusterAfterPowerLoss(t *testing.T) {
	t.Parallel()
	more := checks(12)
	if slow {
		more = checks(2)
	}
	rapid.Check(t, func(rt *rapid.T) {
		if !more() {
			return
		}
		disk := record(t, memoryDir(t))
		d := newDrawn(t, rt, disk)
		begun := disk.len()
		disk.settled = begun
		for range rapid.IntRange(5, 20).Draw(rt, "commands") {
			d.happen()
			if d.draw(4, "sync") == 0 {
				if _, err := d.nodes[0].Synced(ctxOf(t)); err != nil {
					rt.Fatal(err)
				}
			}
		}
		d.log.setFault(nil)
		r := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(rt, "cuts"))) //nolint:gosec // to be repeated
		must(t, d.nodes[0].Close())
		o := d.nodes[0].opt
		o.open = nil
		for range 4 {
			cut := begun + r.IntN(disk.len()-begun+1)
			o.Dir = memoryDir(t)
			write(t, o.Dir, disk.files(cut, true, r))
			d.nodes[0].opt = o
			d.open(0)
			d.elect(0)
			d.alike()
			must(t, d.nodes[0].Close())
		}
		for _, n := range d.nodes[1:] {
			must(t, n.Close())
		}
	})
}
