package journal

import (
	"time"

	"kazoohook/internal/journal/tables"
	"kazoohook/internal/snapshot"
)

// ownClock gives commands their numbers and times. The journal's own clock advances
// by the monotonic time that passes, never by a jump of the wall clock. From one
// process to the next it advances by the wall clock's difference, at least 0 and at
// most a day.
type ownClock struct {
	last    snapshot.At
	base    snapshot.Clock
	started time.Time // with its monotonic reading
}

const maxAway = 24 * time.Hour

func newOwnClock(last snapshot.At, now time.Time) ownClock {
	if last.Wall.IsZero() { // a new journal
		return ownClock{base: snapshot.Clock(now.UnixNano()), started: now}
	}
	return ownClock{last: last, base: last.Clock.Add(min(max(0, now.Sub(last.Wall)), maxAway)), started: now}
}

func (c *ownClock) now(now time.Time) snapshot.Clock {
	return max(c.last.Clock, c.base.Add(now.Sub(c.started)))
}

func (c *ownClock) next(now time.Time) snapshot.At {
	c.last = snapshot.At{Number: c.last.Number + 1, Clock: c.now(now), Wall: now}
	return c.last
}

// draw gives a command ids for the events that it may append.
func draw(ids *tables.IDs, cmd command, now time.Time) {
	cmd.head().id = ids.Next(now)
	switch cmd := cmd.(type) {
	case *listed:
		cmd.IDs = ids.Several(len(cmd.Page.Objects), now)
	case *attempted:
		cmd.IDs = ids.Several(len(cmd.Outcomes), now)
	}
}
