package event

import (
	"strings"
	"testing"
)

// TestSamplesAreOfTheirKind: each kind's sample makes an event of that kind.
func TestSamplesAreOfTheirKind(t *testing.T) {
	t.Parallel()
	samples := Samples()
	n := 0
	for _, f := range families {
		for _, k := range f.kinds {
			r := samples[n]
			n++
			if got := familyOf(r.Event, r.Action); got != f || !strings.Contains(k.name, "*") && got.kind(r.Event).name != k.name {
				t.Errorf("the sample of %s %s is a %s", f.title, k.name, r.Event)
			}
			if r.ID == "" || len(r.ID) != 26 || r.Seq != int64(n) || r.AccountID == "" {
				t.Errorf("%s: id %q, seq %d, account %q", r.Event, r.ID, r.Seq, r.AccountID)
			}
		}
	}
	if n != len(samples) {
		t.Errorf("%d samples of %d kinds", len(samples), n)
	}
}
