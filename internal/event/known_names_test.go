package event

import (
	"slices"
	"testing"
)

// TestNames proves that every delivery of the vectors that is understood has one
// of the known names.
func TestNames(t *testing.T) {
	t.Parallel()
	names := Names()
	for i, n := range names {
		if !isName(n) || slices.Contains(names[:i], n) {
			t.Errorf("%q is no name, or is there twice", n)
		}
	}
	for _, v := range sentVectors(t) {
		if r := Route(v.delivery(t)); !slices.Contains(names, r.Event) {
			t.Errorf("%s: %q is not among the known names", v.Name, r.Event)
		}
	}
}
