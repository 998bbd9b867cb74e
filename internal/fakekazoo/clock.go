package fakekazoo

import (
	"context"
	"sync/atomic"
	"time"
)

// gregorian is the number of seconds between Kazoo's epoch, the year 0, and
// Unix' (kazoo core/kazoo_stdlib/src/kz_time.erl).
const gregorian = 62167219200

// clock gives Kazoo's time: readings follow Options.Now plus an offset,
// durations pass Speed times as fast as in reality.
type clock struct {
	read   func() time.Time
	speed  float64
	offset atomic.Int64
}

func (c *clock) now() time.Time {
	return c.read().Add(time.Duration(c.offset.Load()))
}

// seconds returns the time in gregorian seconds, as in all of Kazoo's timestamps.
func (c *clock) seconds() int64 { return c.now().Unix() + gregorian }

// real returns the real duration of d.
func (c *clock) real(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.speed)
}

// sleep waits d of Kazoo's time; false if ctx ended first.
func (c *clock) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(c.real(d))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// MoveClock sets Kazoo's clock to be offset ahead of (negative: behind)
// Options.Now, for every timestamp and for the expiry of tokens from now on.
func (k *Kazoo) MoveClock(offset time.Duration) { k.clock.offset.Store(int64(offset)) }

// Now returns Kazoo's time.
func (k *Kazoo) Now() time.Time { return k.clock.now() }
