package cluster

import (
	"strings"
	"testing"
)

// TestDecide lists the situations of a node that has no open journal yet.
func TestDecide(t *testing.T) {
	t.Parallel()
	empty := func(node string) view { return view{Node: node, Server: node + ".1", Empty: true} }
	alone := func(node, name string, number int64) view {
		return view{Node: node, Server: node + ".1", Journal: name, Number: number}
	}
	member := func(node, epoch string, position uint64) view {
		return view{Node: node, Server: node + ".1", Journal: "aaaa", Number: 100 + int64(position), Epoch: epoch, Position: position, Open: true,
			Members: map[string]string{"n1": "n1.1", "n2": "n2.1"}}
	}
	full := func(v view) view {
		v.Members = map[string]string{"n1": "n1.1", "n2": "n2.1", "n9": "n9.1"}
		return v
	}
	others := func(views ...view) map[string]view {
		m := map[string]view{}
		for _, v := range views {
			m[v.Server] = v
		}
		return m
	}
	knows := func(v view, acked uint64, replaced string) view {
		v.Acked, v.Replaced = acked, replaced
		return v
	}
	log := logState{found: true, epoch: "e1", journal: "aaaa", first: 50, last: 90}
	making := func(v view) view {
		v.Making = v.Epoch
		return v
	}
	anew := order{Epoch: "e2", Founder: "n2", All: true, Go: true}
	carries := func(v view) view {
		v.Making = anew.Epoch
		return v
	}
	gives := func(v view) view {
		v.Ordered = anew.Epoch
		return v
	}
	for name, c := range map[string]struct {
		s      situation
		step   step
		reason string
	}{
		"a fresh cluster waits for the third": {situation{self: empty("n1"), others: others(empty("n2"))}, stepWait, "waiting until all 3 nodes are connected; now there are 2 (n1, n2)"},
		"the first of empty nodes makes it":   {situation{self: empty("n1"), others: others(empty("n2"), empty("n3"))}, stepMake, ""},
		"the others wait for it":              {situation{self: empty("n2"), others: others(empty("n1"), empty("n3"))}, stepWait, "until node n1 has made the log"},
		"from one node to three":              {situation{self: alone("n3", "aaaa", 9), others: others(empty("n1"), empty("n2"))}, stepMake, ""},
		"the empty ones wait for the full":    {situation{self: empty("n1"), others: others(alone("n3", "aaaa", 9), empty("n2"))}, stepWait, "node n3"},
		"two journals that are unrelated": {situation{self: alone("n1", "bbbb", 900), others: others(alone("n3", "aaaa", 9), empty("n2"))}, stepRefuse,
			"nodes n3 and n1 have different journals, aaaa and bbbb"},
		"an empty node sees it, too":  {situation{self: empty("n2"), others: others(alone("n3", "aaaa", 9), alone("n1", "bbbb", 9))}, stepRefuse, "bbbb"},
		"the log is gone":             {situation{self: member("n1", "e1", 5), others: others(empty("n2"), empty("n3"))}, stepLost, "node n1 has followed it: run kazoohook cluster rebuild"},
		"another knows that it was":   {situation{self: empty("n1"), others: others(member("n2", "e1", 5))}, stepLost, "node n2"},
		"another is about to make it": {situation{self: empty("n1"), others: others(making(member("n2", "e1", 0)), empty("n3"))}, stepWait, "waiting"},
		"making it goes on": {situation{self: making(member("n1", "e1", 0)), others: others(empty("n2"), empty("n3")), order: order{Epoch: "e1", Founder: "n1"}},
			stepMake, ""},
		"a rebuild from this node": {situation{self: member("n2", "e0", 7), others: others(member("n1", "e0", 5), member("n3", "e0", 6)), order: order{Epoch: "e1", Founder: "n2"}},
			stepMake, ""},
		"a rebuild from another": {situation{self: member("n1", "e0", 5), others: others(member("n2", "e0", 7), member("n3", "e0", 6)), order: order{Epoch: "e1", Founder: "n2"}},
			stepWait, "node n2"},
		"a rebuild that all carry out": {situation{self: member("n2", "e0", 7), others: others(carries(member("n1", "e0", 5)), carries(member("n3", "e0", 6))), order: anew},
			stepMake, ""},
		"a rebuild that one has not begun": {situation{self: member("n2", "e0", 7), others: others(carries(member("n1", "e0", 5)), member("n3", "e0", 6)), order: anew},
			stepWait, "until node n3 begins again"},
		"another than the founder sees it": {situation{self: carries(member("n1", "e0", 5)), others: others(carries(member("n2", "e0", 7)), member("n3", "e0", 6)), order: anew},
			stepWait, "until node n3 begins again"},
		"the old log is there, others have the order": {situation{self: member("n1", "e1", 60), log: log, others: others(carries(member("n3", "e1", 60))), order: anew}, stepWait, "until all nodes begin again"},
		"the old log is there, one gives the order":   {situation{self: member("n1", "e1", 60), log: log, others: others(gives(member("n3", "e1", 60))), order: anew}, stepWait, "until all nodes begin again"},
		"the old log is there, nobody has the order":  {situation{self: member("n1", "e1", 60), log: log, others: others(member("n3", "e1", 60)), order: anew}, stepFollow, ""},
		"a rebuild waits for all":                     {situation{self: member("n1", "e0", 5), order: order{Epoch: "e1", Founder: "n1"}}, stepWait, "all 3 nodes"},
		"it goes on":                                  {situation{self: member("n1", "e1", 60), log: log}, stepFollow, ""},
		"it begins with the first":                    {situation{self: member("n1", "e1", 50), log: log}, stepFollow, ""},
		"it follows a new log":                        {situation{self: member("n1", "e1", 0), log: logState{found: true, epoch: "e1", first: 1, last: 9}}, stepFollow, ""},
		"nothing shows what was before":               {situation{self: member("n1", "e1", 49), log: log, others: others(member("n2", "e1", 80))}, stepCopy, ""},
		"it has all":                                  {situation{self: member("n1", "e1", 90), log: log}, stepFollow, ""},
		"it fell behind":                              {situation{self: member("n1", "e1", 48), log: log, others: others(member("n2", "e1", 80))}, stepCopy, ""},
		"it has more than the log":                    {situation{self: member("n1", "e1", 91), log: log}, stepLost, "ends at 90, although node n1 has applied it up to 91"},
		"another has more":                            {situation{self: member("n1", "e1", 60), log: log, others: others(member("n2", "e1", 96))}, stepLost, "ends at 90, although node n2 has applied it up to 96"},
		"one that is away had more":                   {situation{self: knows(member("n1", "e1", 60), 96, ""), log: log}, stepLost, "ends at 90, although a node has had it up to 96"},
		"another knows of more":                       {situation{self: empty("n1"), log: log, others: others(knows(member("n2", "e1", 60), 96, ""))}, stepCopy, ""},
		"an entry was replaced":                       {situation{self: knows(member("n1", "e1", 60), 60, "another entry at 60"), log: log}, stepLost, "another entry at 60"},
		"another's entry was replaced":                {situation{self: member("n1", "e1", 60), log: log, others: others(knows(member("n2", "e1", 70), 70, "another entry at 70"))}, stepLost, "another entry at 70"},
		"another has more of another":                 {situation{self: member("n1", "e1", 60), log: log, others: others(member("n2", "e0", 96))}, stepFollow, ""},
		"an empty node joins":                         {situation{self: empty("n3"), log: log, others: others(member("n2", "e1", 80))}, stepCopy, ""},
		"nobody can give a copy":                      {situation{self: empty("n3"), log: log, others: others(member("n2", "e0", 80))}, stepWait, "a node to copy the journal from"},
		"a copy would be too old":                     {situation{self: empty("n3"), log: log, others: others(member("n2", "e1", 48))}, stepWait, "a node to copy the journal from"},
		"there is no place":                           {situation{self: empty("n3"), log: log, others: others(full(member("n2", "e1", 80)))}, stepWait, "has its 3 nodes already (n1, n2, n9): remove the one that is lost with kazoohook cluster remove NODE"},
		"its own place is free":                       {situation{self: empty("n9"), log: log, others: others(full(member("n2", "e1", 80)))}, stepCopy, ""},
		"it missed a rebuild":                         {situation{self: member("n3", "e0", 80), log: log, others: others(member("n2", "e1", 80))}, stepCopy, ""},
		"it went on by itself":                        {situation{self: alone("n3", "aaaa", 500), log: log, others: others(member("n2", "e1", 80))}, stepRefuse, "went on outside the cluster"},
		"it has another journal":                      {situation{self: alone("n3", "cccc", 500), log: log, others: others(member("n2", "e1", 80))}, stepRefuse, "this node has the journal cccc, and the cluster has aaaa"},
		"an order to take another's log":              {situation{self: alone("n3", "aaaa", 500), log: log, order: order{Epoch: "e1", Founder: "n2"}, others: others(member("n2", "e1", 80))}, stepCopy, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.s.size = 3
			got := decide(c.s)
			if got.step != c.step || !strings.Contains(got.reason, c.reason) {
				t.Errorf("step %d, %q; want %d, %q", got.step, got.reason, c.step, c.reason)
			}
		})
	}
}

func TestDonors(t *testing.T) {
	t.Parallel()
	s := situation{log: logState{epoch: "e1", first: 10}, others: map[string]view{
		"a": {Node: "n1", Open: true, Epoch: "e1", Position: 20},
		"b": {Node: "n2", Open: true, Epoch: "e1", Position: 30},
		"c": {Node: "n3", Open: true, Epoch: "e1", Position: 90, State: StateDiverged},
		"d": {Node: "n4", Open: false, Epoch: "e1", Position: 90},
		"e": {Node: "n5", Open: true, Epoch: "e0", Position: 90},
	}}
	if got := names(s.donors()); got != "2 (n1, n2)" || s.donors()[0].Node != "n2" {
		t.Errorf("donors are %s, the first %s", got, s.donors()[0].Node)
	}
}

func TestContinues(t *testing.T) {
	t.Parallel()
	l := logState{found: true, epoch: "e1", first: 10, last: 20}
	for name, c := range map[string]struct {
		epoch string
		next  uint64
		want  error
	}{
		"in the middle":      {"e1", 15, nil},
		"after the first":    {"e1", 11, nil},
		"at the first":       {"e1", 10, errTruncated},
		"after the last":     {"e1", 21, nil},
		"another epoch":      {"e2", 15, errEpoch},
		"before the first":   {"e1", 9, errTruncated},
		"more than there is": {"e1", 22, errCut},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := continues(l, c.epoch, c.next); !is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}
