//go:build real

package crossbar_test

import "testing"

// TestHostileAPIWhole reaches the real limits, which takes a while.
func TestHostileAPIWhole(t *testing.T) { //nolint:paralleltest // memory of the whole process is measured
	hostile(t, 1)
}
