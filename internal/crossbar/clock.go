package crossbar

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// clock remembers how far Kazoo's clock is from ours.
type clock struct {
	offset atomic.Int64
	known  atomic.Bool
}

// ClockOffset returns Kazoo's clock minus ours at the last answer, to about a
// second; false before the first answer that holds a time.
func (c *Client) ClockOffset() (time.Duration, bool) {
	return time.Duration(c.clock.offset.Load()), c.clock.known.Load()
}

// kazooTime returns our time corrected by the offset, if that is known.
func (c *Client) kazooTime(now time.Time) time.Time {
	off, _ := c.ClockOffset()
	return now.Add(off)
}

// note reads the time of an answer: from the envelope, or else from the header,
// which a proxy may have set.
func (k *clock) note(env *envelope, date string, began, ended time.Time) {
	at, ok := envelopeTime(text(env.Timestamp))
	if !ok {
		var err error
		if at, err = http.ParseTime(date); err != nil {
			return
		}
	}
	ours := began.Add(ended.Sub(began) / 2)
	k.offset.Store(int64(at.Sub(ours)))
	k.known.Store(true)
}

// envelopeTime reads the envelope's timestamp: ISO 8601, with or without the Z
// of UTC, or gregorian seconds.
func envelopeTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > GregorianEpoch && n < 2*GregorianEpoch {
		return time.Unix(n-GregorianEpoch, 0), true
	}
	return time.Time{}, false
}
