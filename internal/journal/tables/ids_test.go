package tables

import (
	"bytes"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
)

// When a millisecond has no more ids, the next one is used.
func TestIDsOverflow(t *testing.T) {
	t.Parallel()
	g := IDs{entropy: ulid.Monotonic(bytes.NewReader(bytes.Repeat([]byte{0xff}, 1000)), 1)}
	now := time.Now()
	a, b, c := g.Next(now), g.Next(now), g.Next(now.Add(-time.Hour))
	if a.Compare(b) >= 0 || b.Compare(c) >= 0 {
		t.Errorf("%s %s %s", a, b, c)
	}
}
