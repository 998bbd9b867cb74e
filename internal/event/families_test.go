package event

import (
	"slices"
	"testing"
)

// TestNames: every vector that is understood has a known name.
func TestNames(t *testing.T) {
	t.Parallel()
	names := Names()
	for i, n := range names {
		if !isName(n) || slices.Contains(names[:i], n) {
			t.Errorf("%q is not a valid name, or is listed twice", n)
		}
	}
	for _, v := range sentVectors(t) {
		if r := Route(v.delivery(t)); !slices.Contains(names, r.Event) {
			t.Errorf("%s: %q is not among the known names", v.Name, r.Event)
		}
	}
}
