package registration

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestCollector proves that the figures have the right names and labels, by
// Prometheus' conventions.
func TestCollector(t *testing.T) {
	t.Parallel()
	var o Overview
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(NewCollector(func() Overview { return o }))
	if n, err := testutil.GatherAndCount(r, "kazoohook_gaps_total", "kazoohook_resync_events_total"); err != nil || n != 3 {
		t.Errorf("%d series before anything happened, %v", n, err)
	}
	o = Overview{
		Registration: Status{
			Problems: []string{"HOOKS: no such hook"}, OKAt: time.Unix(5, 5e8), Runs: 4, Failures: 1, Took: 1500 * time.Millisecond,
			Hooks: []HookStatus{{Name: "a", ID: "1", Enabled: true, Repairs: 2}, {Name: "b", ID: "2"}, {Name: "c", Enabled: true}},
		},
		Failures: map[string]int{"1": 3}, FailureLimit: failureLimit, Outages: 7,
		Recover: RecoverStats{Recovered: 8, ArchivedGaps: 9}, Resync: ResyncStats{Deleted: 10, AwaitingConfirm: 11},
	}
	var names []string
	want := strings.Builder{}
	for _, m := range []struct{ kind, name, help, series string }{
		{"gauge", "hook_enabled", "Whether the hook is registered and enabled in Kazoo.", `{name="a"} 1,{name="b"} 0,{name="c"} 0`},
		{"gauge", "hook_failures", "Failures that Kazoo counted within the last minute; at the limit it switches the hook off.", `{name="a"} 3,{name="b"} 0,{name="c"} 0`},
		{"counter", "hook_repairs_total", "Times the hook was found switched off or missing and was repaired.", `{name="a"} 2,{name="b"} 0,{name="c"} 0`},
		{"gauge", "hooks_not_offered", "Entries of HOOKS that this Kazoo doesn't offer.", " 1"},
		{"counter", "gaps_total", "Outages of hooks: spans in which events may have been missed.", " 7"},
		{"gauge", "last_delivery_timestamp_seconds", "When Kazoo last reached us; 0: not since the start.", " 0"},
		{"counter", "reconcile_seconds_total", "Time that comparing our hooks with Kazoo's took.", " 1.5"},
		{"gauge", "reconcile_last_success_timestamp_seconds", "When our hooks were last compared without an error.", " 5.5"},
		{"counter", "recovered_events_total", "Events that Kazoo could not deliver and that were read back from its record.", " 8"},
		{"counter", "recover_archived_months_total", "Months of which Kazoo no longer had a record of failed attempts.", " 9"},
		{"counter", "resync_events_total", "Events inferred by comparing Kazoo's objects with the snapshot.", `{action="created"} 0,{action="deleted"} 10`},
		{"gauge", "resync_awaiting_confirm", "Deletions held back until a person confirms them (kazoohook resync --confirm).", " 11"},
	} {
		name := "kazoohook_" + m.name
		names = append(names, name)
		want.WriteString("# HELP " + name + " " + m.help + "\n# TYPE " + name + " " + m.kind + "\n")
		for series := range strings.SplitSeq(m.series, ",") {
			want.WriteString(name + series + "\n")
		}
	}
	if err := testutil.GatherAndCompare(r, strings.NewReader(want.String()), names...); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(r); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}
