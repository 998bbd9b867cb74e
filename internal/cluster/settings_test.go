package cluster

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/journal"
)

// TestLeaderWithOtherSettings: a leader whose settings changed by a reload names them,
// goes on leading for a while, and then lets another lead. With the cluster's settings
// again it is ready.
func TestLeaderWithOtherSettings(t *testing.T) {
	t.Parallel()
	n, err := Start(t.Context(), testOptions(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	j, err := journal.Open(t.Context(), journal.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	agreed, err := json.Marshal(n.settings)
	if err == nil {
		err = j.SetState(t.Context(), settingsKey, string(agreed))
	}
	if err != nil {
		t.Fatal(err)
	}
	n.election = newElection(n.o.Node, (&hand{time.Second}).now) // it stands still, so a tick counts for ever
	lead := func(term uint64) {
		n.election.elected(term, n.o.Node, n.election.boot)
		n.election.readBack(term, n.election.now())
	}
	look := func(leads bool, state State, says ...string) {
		t.Helper()
		n.compareSettings(t.Context(), j)
		s := n.Status(t.Context())
		if n.election.leads() != leads || s.State != state {
			t.Errorf("leads: %v, %+v", n.election.leads(), s)
		}
		if i := slices.IndexFunc(says, func(part string) bool { return !strings.Contains(s.Problem, part) }); i >= 0 {
			t.Errorf("%q lacks %q", s.Problem, says[i])
		}
	}
	lead(1)
	n.say(StateReady, "")
	look(true, StateReady)
	n.SetSettings(map[string]string{"HOOKS": "account"})
	for range 2 {
		lead(1)
		look(true, StateSettings, "(HOOKS)", "it leads for 30s more")
	}
	n.differs = n.differs.Add(-settingsGrace)
	look(false, StateSettings, "(HOOKS)")
	look(false, StateSettings, "it takes requests and does not lead")
	n.SetSettings(map[string]string{"HOOKS": "user"})
	look(false, StateReady)
	lead(2)
	again := time.Now()
	n.SetSettings(map[string]string{"HOOKS": "account"})
	look(true, StateSettings, "it leads for 30s more")
	if n.differs.Before(again) {
		t.Errorf("it counts from an earlier difference, %v before", again.Sub(n.differs))
	}
}
