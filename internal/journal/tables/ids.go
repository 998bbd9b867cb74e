package tables

import (
	"bufio"
	"crypto/rand"
	"time"

	"github.com/oklog/ulid/v2"
)

// IDs gives the ids of events: increasing ULIDs. The time in them never decreases,
// whatever the clock does, so events can be searched by time. It is used by one
// goroutine at a time.
type IDs struct {
	ms      uint64
	entropy ulid.MonotonicReader
}

// NewIDs returns IDs whose first id has at least the time ms (Unix milliseconds).
func NewIDs(ms uint64) IDs {
	return IDs{ms: ms, entropy: ulid.Monotonic(bufio.NewReaderSize(rand.Reader, 1024), 0)}
}

// Next returns the next id, at a time.
func (g *IDs) Next(now time.Time) ulid.ULID {
	g.ms = max(g.ms, uint64(max(0, now.UnixMilli())))
	id, err := ulid.New(g.ms, g.entropy)
	if err != nil { // this millisecond has no more ids
		g.ms++
		id = ulid.MustNew(g.ms, g.entropy)
	}
	return id
}

// Several returns the next n ids.
func (g *IDs) Several(n int, now time.Time) []ulid.ULID {
	list := make([]ulid.ULID, n)
	for i := range list {
		list[i] = g.Next(now)
	}
	return list
}
