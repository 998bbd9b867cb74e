package cluster

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// is is errors.Is; two nil errors are also equal.
func is(err, want error) bool {
	if want == nil {
		return err == nil
	}
	return errors.Is(err, want)
}

func TestCompareChains(t *testing.T) {
	t.Parallel()
	chain := func(hashes ...string) (list []link) {
		for i, h := range hashes {
			if h != "" {
				list = append(list, link{int64(i+1) * linkEvery, h})
			}
		}
		return list
	}
	differ := func(number int64, hash string, most bool, nodes ...string) *dispute {
		return &dispute{number: number, hash: hash, servers: nodes, nodes: nodes, most: most}
	}
	for name, c := range map[string]struct {
		size   int
		own    []link
		others map[string][]link
		want   *dispute
	}{
		"all alike":                {3, chain("a", "b"), map[string][]link{"n2": chain("a", "b"), "n3": chain("a")}, nil},
		"nothing to compare":       {3, chain("a"), map[string][]link{"n2": chain("", "x"), "n3": nil}, nil},
		"two against this":         {3, chain("a", "b"), map[string][]link{"n2": chain("a", "x"), "n3": chain("a", "x")}, differ(2000, "b", true, "n2", "n3")},
		"this and one against one": {3, chain("a", "b"), map[string][]link{"n2": chain("a", "b"), "n3": chain("a", "x")}, nil},
		"one against one":          {3, chain("a"), map[string][]link{"n2": chain("x")}, differ(1000, "a", false, "n2")},
		"all different":            {3, chain("a"), map[string][]link{"n2": chain("x"), "n3": chain("y")}, differ(1000, "a", false, "n2", "n3")},
		"three of five":            {5, chain("a"), map[string][]link{"n2": chain("x"), "n3": chain("x"), "n4": chain("x"), "n5": chain("a")}, differ(1000, "a", true, "n2", "n3", "n4")},
		"two of five":              {5, chain("a"), map[string][]link{"n2": chain("x"), "n3": chain("x"), "n4": chain("a"), "n5": chain("a")}, nil},
		"two and two of five":      {5, chain("a"), map[string][]link{"n2": chain("x"), "n3": chain("x"), "n4": chain("a")}, differ(1000, "a", false, "n2", "n3")},
		"where they differ first":  {3, chain("a", "b", "c"), map[string][]link{"n2": chain("", "x", "y"), "n3": chain("", "x", "y")}, differ(2000, "b", true, "n2", "n3")},
		"of another log":           {3, chain("a"), map[string][]link{"old": chain("x")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, compare(c.size, "e1", c.own, viewsOf(c.others)), cmp.AllowUnexported(dispute{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// viewsOf returns nodes with these hashes. A node named old follows another log.
func viewsOf(chains map[string][]link) map[string]view {
	views := map[string]view{}
	for node, l := range chains {
		epoch := "e1"
		if node == "old" {
			epoch = "e0"
		}
		views[node] = view{Node: node, Server: node, Epoch: epoch, Chain: l}
	}
	return views
}

// A stopped node goes on when a majority turns out to have its hash, or when the nodes
// that differed have been replaced.
func TestDisputeIsSettled(t *testing.T) {
	t.Parallel()
	d := &dispute{number: 1000, hash: "a", servers: []string{"n2"}, nodes: []string{"n2"}}
	of := func(hash string) []link { return []link{{1000, hash}, {2000, "later"}} }
	for name, c := range map[string]struct {
		size   int
		others map[string][]link
		want   bool
	}{
		"the other is still there":     {3, map[string][]link{"n2": of("x")}, false},
		"the other says nothing":       {3, map[string][]link{"n2": nil}, false},
		"the third is like this":       {3, map[string][]link{"n2": of("x"), "n3": of("a")}, true},
		"the third is like the other":  {3, map[string][]link{"n2": of("x"), "n3": of("x")}, false},
		"the third hasn't come so far": {3, map[string][]link{"n2": of("x"), "n3": nil}, false},
		"the other was replaced":       {3, map[string][]link{"n2 anew": nil}, true},
		"one of five isn't enough":     {5, map[string][]link{"n2": of("x"), "n3": of("a")}, false},
		"two of five are":              {5, map[string][]link{"n2": of("x"), "n3": of("a"), "n4": of("a")}, true},
		"of another log":               {3, map[string][]link{"n2": of("x"), "old": of("a")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := d.settled(c.size, "e1", viewsOf(c.others)); got != c.want {
				t.Errorf("settled: %v", got)
			}
		})
	}
}

func TestDisputeSays(t *testing.T) {
	t.Parallel()
	for want, most := range map[string]bool{
		"differs from that of nodes n2, n3 since a command before 3000: it takes requests and does nothing else; stop it and empty its DATA_DIR": true,
		"since a command before 3000, and no majority says which is right: each takes requests and does nothing else":                            false,
	} {
		if text := (&dispute{number: 3000, nodes: []string{"n2", "n3"}, most: most}).Error(); !contains(text, want) {
			t.Errorf("%q doesn't say %q", text, want)
		}
	}
}

func TestJudgeSettings(t *testing.T) {
	t.Parallel()
	first, second := hashed(map[string]string{"HOOKS": "user"}), hashed(map[string]string{"HOOKS": "user,account"})
	for name, c := range map[string]struct {
		own, agreed map[string]string
		others      []map[string]string
		want        ballot
	}{
		"the first ever":                     {first, nil, nil, ballotAdopt},
		"the same":                           {first, first, []map[string]string{second, second}, ballotSame},
		"other than the rest":                {second, first, []map[string]string{first, first}, ballotDiffer},
		"other than one of the rest":         {second, first, []map[string]string{second, first}, ballotDiffer},
		"all have the new":                   {second, first, []map[string]string{second, second}, ballotAdopt},
		"all of a quorum, one is restarting": {second, first, []map[string]string{second}, ballotAdopt},
		"without a quorum":                   {second, first, nil, ballotDiffer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			others := map[string]view{}
			for i, s := range c.others {
				others[string(rune('a'+i))] = view{Settings: s}
			}
			if got := judgeSettings(3, c.own, c.agreed, others); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestDifferingSettings(t *testing.T) {
	t.Parallel()
	a := hashed(map[string]string{"A": "1", "B": "2", "C": "3"})
	b := hashed(map[string]string{"B": "2", "C": "4", "D": "5"})
	if diff := cmp.Diff([]string{"A", "C", "D"}, differing(a, b)); diff != "" {
		t.Error(diff)
	}
	if hashed(map[string]string{"A": "1"})["A"] == hashed(map[string]string{"B": "1"})["B"] {
		t.Error("the hash of a value shows that another setting has it, too")
	}
}

func TestPurgeable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		seen []memberSeen
		held uint64
		want uint64
	}{
		"what all have":                      {[]memberSeen{{50, 0}, {40, 0}, {60, 0}}, 0, 40},
		"one away keeps it":                  {[]memberSeen{{50, 0}, {10, absentAfter - 1}, {60, 0}}, 0, 10},
		"one away for long doesn't":          {[]memberSeen{{50, 0}, {10, absentAfter}, {60, 0}}, 0, 50},
		"one of which nothing is known":      {[]memberSeen{{50, 0}, {0, 0}, {60, 0}}, 0, 0},
		"a copy keeps it":                    {[]memberSeen{{50, 0}, {40, 0}, {60, 0}}, 30, 30},
		"a copy that has more doesn't":       {[]memberSeen{{50, 0}, {40, 0}, {60, 0}}, 45, 40},
		"nobody is known":                    {nil, 0, 0},
		"all away for long: nothing is said": {[]memberSeen{{50, absentAfter}}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := purgeable(c.seen, c.held); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestPlanRebuild(t *testing.T) {
	t.Parallel()
	node := func(name string, number int64, position, acked uint64) view {
		return view{Node: name, Server: name, Journal: "aaaa", Number: number, Epoch: "e1", Position: position, Acked: acked}
	}
	chained := func(v view, hashes ...string) view {
		for i, h := range hashes {
			v.Chain = append(v.Chain, link{int64(i+1) * linkEvery, h})
		}
		return v
	}
	replaced := node("n3", 104, 96, 96)
	replaced.Replaced = "another entry at 96"
	gone := logState{}
	for name, c := range map[string]struct {
		all     []view
		log     logState
		founder string
		rename  bool
		problem string
	}{
		"all have the same":          {[]view{node("n1", 9, 5, 5), node("n2", 9, 5, 5), node("n3", 9, 5, 5)}, gone, "n1", false, ""},
		"the most advanced":          {[]view{node("n1", 8, 4, 4), node("n2", 9, 5, 5), node("n3", 7, 3, 3)}, gone, "n2", false, ""},
		"acknowledged and gone":      {[]view{node("n1", 8, 4, 6), node("n2", 9, 5, 5), node("n3", 7, 3, 3)}, gone, "n2", true, ""},
		"an empty node counts":       {[]view{node("n1", 8, 4, 4), {Node: "n2", Empty: true}, node("n3", 9, 5, 5)}, gone, "n3", false, ""},
		"one is missing":             {[]view{node("n1", 8, 4, 4), node("n2", 9, 5, 5)}, gone, "", false, "needs all 3 nodes"},
		"one too many":               {[]view{node("n1", 8, 4, 4), node("n2", 9, 5, 5), node("n3", 9, 5, 5), node("n4", 1, 1, 1)}, gone, "", false, "more than the cluster's size of 3"},
		"no journal":                 {[]view{{Node: "n1", Empty: true}, {Node: "n2", Empty: true}, {Node: "n3", Empty: true}}, gone, "", false, "no node has a journal"},
		"unrelated journals":         {[]view{node("n1", 8, 4, 4), {Node: "n2", Journal: "bbbb"}, node("n3", 9, 5, 5)}, gone, "", false, "n1 and n2 have different journals"},
		"not from one that is bad":   {[]view{node("n1", 8, 4, 4), {Node: "n2", Number: 99, Journal: "aaaa", State: StateDiverged}, node("n3", 7, 3, 3)}, gone, "n1", false, ""},
		"one that reports no number": {[]view{node("n1", 48, 17, 17), node("n2", 0, 35, 35), node("n3", 0, 35, 35)}, gone, "n2", false, ""},
		"the log ends early":         {[]view{node("n1", 52, 44, 52), node("n2", 52, 44, 52), node("n3", 104, 96, 96)}, logState{found: true, leader: true, epoch: "e1", first: 1, last: 52}, "n3", true, ""},
		"the log went on after it":   {[]view{node("n1", 158, 150, 150), node("n2", 158, 150, 150), node("n3", 104, 96, 160)}, logState{found: true, leader: true, epoch: "e1", first: 1, last: 150}, "n1", true, ""},
		"the log has other entries":  {[]view{node("n1", 158, 150, 150), node("n2", 158, 150, 150), replaced}, logState{found: true, leader: true, epoch: "e1", first: 1, last: 150}, "n1", true, ""},
		"a log that has more":        {[]view{node("n1", 8, 4, 4), node("n2", 9, 5, 5), node("n3", 7, 3, 3)}, logState{found: true, leader: true, epoch: "e1", first: 6, last: 9}, "n2", false, ""},
		"another log":                {[]view{node("n1", 8, 4, 4), node("n2", 9, 5, 5), node("n3", 7, 3, 3)}, logState{found: true, leader: true, epoch: "e2", first: 1}, "n2", false, ""},
		"hashes that are alike":      {[]view{chained(node("n1", 8, 4, 4), "a"), node("n2", 9, 5, 5), chained(node("n3", 7, 3, 3), "a", "b")}, gone, "n2", false, ""},
		"hashes that differ":         {[]view{chained(node("n1", 8, 4, 4), "a", "c"), node("n2", 9, 5, 5), chained(node("n3", 7, 3, 3), "a", "b")}, gone, "n2", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := planRebuild(3, c.all, c.log)
			if c.problem != "" {
				if err == nil || !contains(err.Error(), c.problem) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || o.Founder != c.founder || o.Rename != c.rename || o.Epoch == "" || !o.Anew {
				t.Errorf("got %+v, %v", o, err)
			}
		})
	}
}

// TestReplaceable: a rebuild must not discard a log that may hold commands that no
// journal has yet.
func TestReplaceable(t *testing.T) {
	t.Parallel()
	closed := func(name, epoch string, position uint64) view {
		return view{Node: name, Server: name, Journal: "aaaa", Epoch: epoch, Position: position, Acked: position, State: StateWaiting}
	}
	open := func(name, epoch string, position uint64) view {
		v := closed(name, epoch, position)
		v.Open, v.State = true, StateReady
		return v
	}
	empty := func(name string) view { return view{Node: name, Server: name, Empty: true, State: StateWaiting} }
	diverged := open("n1", "e1", 60)
	diverged.State = StateDiverged
	replaced := closed("n3", "e1", 60)
	replaced.Replaced = "another entry at 60"
	late := errors.New("no answer in time")
	l := logState{found: true, leader: true, epoch: "e1", first: 50, last: 90, voters: []string{peerID("n1"), peerID("n2"), peerID("n3")}}
	few := l
	few.voters = []string{peerID("n1"), peerID("n2.lost"), peerID("n3.lost")}
	for name, c := range map[string]struct {
		all  []view
		log  logState
		err  error
		want string // "": it may be replaced
	}{
		"it is gone":                       {[]view{open("n1", "e1", 60), open("n2", "e1", 60), closed("n3", "e1", 60)}, logState{}, errNoStream, ""},
		"the others follow it":             {[]view{open("n1", "e1", 60), open("n2", "e1", 60), closed("n3", "e1", 60)}, l, nil, "n3 can follow it"},
		"the others don't run yet":         {[]view{closed("n1", "e1", 60), empty("n2"), empty("n3")}, l, nil, "n1 can follow it"},
		"only this one fell behind":        {[]view{open("n1", "e1", 60), open("n2", "e1", 60), closed("n3", "e1", 10)}, l, nil, "n2 can follow it"},
		"all need what was purged":         {[]view{closed("n1", "e1", 10), closed("n2", "e1", 20), empty("n3")}, l, nil, ""},
		"it is another's":                  {[]view{closed("n1", "e0", 60), closed("n2", "e0", 60), empty("n3")}, l, nil, ""},
		"one has applied more":             {[]view{open("n1", "e1", 60), open("n2", "e1", 60), closed("n3", "e1", 96)}, l, nil, ""},
		"it was continued from earlier":    {[]view{open("n1", "e1", 60), open("n2", "e1", 60), replaced}, l, nil, ""},
		"a quorum of its votes is lost":    {[]view{open("n1", "e1", 60), open("n2", "e1", 60), open("n3", "e1", 60)}, few, nil, ""},
		"what is left can't be used":       {[]view{diverged, empty("n2"), empty("n3")}, l, nil, ""},
		"it doesn't answer now":            {[]view{open("n1", "e1", 60), open("n2", "e1", 60), closed("n3", "e1", 60)}, logState{}, late, "try again"},
		"a quorum of its disks is lost":    {[]view{closed("n1", "e1", 60), empty("n2"), empty("n3")}, logState{}, late, ""},
		"a quorum followed, but not alike": {[]view{closed("n1", "e1", 60), closed("n2", "e0", 60), empty("n3")}, logState{}, late, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := replaceable(3, c.all, c.log, c.err)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !contains(err.Error(), c.want)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestFailedRebuild leaves orders that nobody carries out: without the second round, or
// withdrawn after it.
func TestFailedRebuild(t *testing.T) {
	t.Parallel()
	o := order{Epoch: "e2", Founder: "n1", Anew: true, Rename: true}
	for name, c := range map[string]struct {
		requests []rebuildRequest
		kept     bool
	}{
		"both rounds":          {[]rebuildRequest{{Order: o}, {Order: o, Go: true}}, true},
		"only the first":       {[]rebuildRequest{{Order: o}}, false},
		"withdrawn":            {[]rebuildRequest{{Order: o}, {Order: o, Go: true}, {Order: o, Withdraw: true}}, false},
		"another is withdrawn": {[]rebuildRequest{{Order: o}, {Order: o, Go: true}, {Order: order{Epoch: "e3"}, Withdraw: true}}, true},
		"nothing to withdraw":  {[]rebuildRequest{{Order: o, Withdraw: true}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := &Node{o: Options{Dir: t.TempDir(), Node: "n1", Log: zerolog.Nop()}, ended: make(chan struct{})}
			if err := n.load(t.Context()); err != nil {
				t.Fatal(err)
			}
			server := n.id.server()
			for _, r := range c.requests {
				if err := n.rebuild(r); err != nil {
					t.Fatal(err)
				}
			}
			again := &Node{o: n.o}
			if err := again.load(t.Context()); err != nil {
				t.Fatal(err)
			}
			if kept := again.order.Epoch == o.Epoch; kept != c.kept || again.id.server() == server == c.kept {
				t.Errorf("order %+v, server %s after %s", again.order, again.id.server(), server)
			}
			if left, err := readOrder(n.o.dir()); err != nil || (left.Epoch != "") != c.kept {
				t.Errorf("left is %+v, %v", left, err)
			}
		})
	}
}

// TestWithdrawnAfterRestart: a node that carries an order out already gives it up, too.
func TestWithdrawnAfterRestart(t *testing.T) {
	t.Parallel()
	n := &Node{o: Options{Dir: t.TempDir(), Node: "n1", Log: zerolog.Nop()}, ended: make(chan struct{})}
	o := order{Epoch: "e2", Founder: "n1", Anew: true, Go: true}
	if err := o.write(n.o.dir()); err != nil {
		t.Fatal(err)
	}
	if err := n.load(t.Context()); err != nil || n.order.Epoch != "e2" || n.self.Making != "e2" {
		t.Fatalf("%+v, %v", n.order, err)
	}
	if err := n.rebuild(rebuildRequest{Order: o, Withdraw: true}); err != nil || n.order.Epoch != "" || n.self.Making != "" {
		t.Errorf("%+v, %v", n.order, err)
	}
}
