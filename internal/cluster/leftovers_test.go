package cluster

import (
	"maps"
	"slices"
	"testing"
	"time"
)

// TestLeftovers: a node that joins takes over the votes of its own earlier directories, and,
// if it gets none otherwise, that of a server that was lost before it became a member's.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	const a, b, old, lost, own = "n1.aaaaaaaaaa", "n2.bbbbbbbbbb", "n3.cccccccccc", "n3.dddddddddd", "n3.eeeeeeeeee"
	const unknown = "Server name unknown at this time (peerID: 12345678)"
	n3, n5 := view{Node: "n3", Server: own}, view{Node: "n5", Server: "n5.ffffffffff"}
	two := map[string]string{"n1": a, "n2": b}
	three := map[string]string{"n1": a, "n2": b, "n3": old}
	for name, c := range map[string]struct {
		v     view
		known map[string]string
		third string // the third vote
		group string // a further server of the group
		here  string // a server that is connected beside n1 and n2
		want  []string
	}{
		"its directory was made anew":               {n3, three, old, "", "", []string{old}},
		"once more, before it was a member again":   {n3, three, lost, "", "", []string{old, lost}},
		"that server's name isn't known":            {n3, three, unknown, "", "", []string{old, unknown}},
		"that server had no vote yet":               {n3, three, old, lost, "", []string{old, lost}},
		"it has the vote now":                       {n3, three, own, "", "", []string{old}},
		"its directory was lost before it joined":   {n3, two, lost, "", "", []string{lost}},
		"a node with its name is connected":         {n3, two, lost, "", lost, []string{lost}},
		"a new node, in the place of a removed one": {n5, two, lost, "", "", []string{lost}},
		"its name isn't known":                      {n5, two, unknown, "", "", []string{unknown}},
		"it is connected":                           {n5, two, lost, "", lost, nil},
		"it has a vote":                             {n5, two, n5.Server, lost, "", nil},
		"there is room":                             {n5, two, "", lost, "", nil},
		"a member that is away":                     {n5, two, "", "", "", nil},
		"a name with dots": {view{Node: "n.example.com", Server: "n.example.com.ffffffffff"}, two, "n.example.com.gggggggggg", "", "n.example.com.gggggggggg",
			[]string{"n.example.com.gggggggggg"}},
		"part of another's name": {view{Node: "n", Server: "n.ffffffffff"}, two, "n.example.com.gggggggggg", "", "n.example.com.gggggggggg", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			votes := map[string]vote{}
			for _, server := range []string{a, b, c.third} {
				if server != "" {
					votes[peerID(server)] = vote{server, true}
				}
			}
			group := map[string]string{peerID(a): a, peerID(c.group): c.group}
			connected := func(peer string) bool { return slices.Contains([]string{peerID(a), peerID(c.here)}, peer) }
			var want []string
			for _, server := range c.want {
				want = append(want, peerID(server))
			}
			slices.Sort(want)
			if got := leftovers(3, c.v, c.known, votes, group, connected); !slices.Equal(got, want) {
				t.Errorf("got %q, not %q", got, want)
			}
		})
	}
}

// TestStrays: once all places are taken by servers that are connected, any other is a stray,
// unless it is a member's.
func TestStrays(t *testing.T) {
	t.Parallel()
	const a, b, c, stray, joins = "n1.aaaaaaaaaa", "n2.bbbbbbbbbb", "n3.cccccccccc", "host.dddddddddd", "n5.ffffffffff"
	three := map[string]string{"n1": a, "n2": b, "n3": c}
	for name, test := range map[string]struct {
		known map[string]string
		alive []string
		lost  bool
	}{
		"all members are connected":        {three, []string{a, b, c}, true},
		"another waits for a lost one":     {three, []string{a, b, joins}, true},
		"it is connected":                  {three, []string{a, b, c, stray}, false},
		"a member is away":                 {three, []string{a, b}, false},
		"one was removed, and it may join": {map[string]string{"n1": a, "n2": b}, []string{a, b}, false},
		"one was removed, another joins":   {map[string]string{"n1": a, "n2": b}, []string{a, b, joins}, true},
	} {
		group, alive := map[string]string{}, map[string]view{}
		for _, server := range append(slices.Collect(maps.Values(test.known)), stray) {
			group[peerID(server)] = server
		}
		for _, server := range test.alive {
			group[peerID(server)], alive[server] = server, view{Server: server}
		}
		var want []string
		if test.lost {
			want = []string{peerID(stray)}
		}
		if got := strays(3, test.known, group, alive); !slices.Equal(got, want) {
			t.Errorf("%s: %q, not %q", name, got, want)
		}
	}
}

// TestStraysLast: a server that begins is in the group before it is seen. Only what stays a
// stray loses its vote.
func TestStraysLast(t *testing.T) {
	t.Parallel()
	since, begin := map[string]time.Time{}, time.Now()
	for _, c := range []struct {
		after  time.Duration
		strays []string
		want   []string
	}{
		{0, []string{"begins", "stays"}, nil},
		{strayAfter - time.Second, []string{"begins", "stays"}, nil},
		{strayAfter - time.Millisecond, []string{"stays"}, nil},
		{strayAfter, []string{"begins", "stays"}, []string{"stays"}},
		{2 * strayAfter, []string{"begins"}, []string{"begins"}},
	} {
		if got := lasting(since, c.strays, begin.Add(c.after)); !slices.Equal(got, c.want) {
			t.Errorf("after %s: %q, not %q", c.after, got, c.want)
		}
	}
}
