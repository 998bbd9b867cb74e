package registration

import (
	"iter"
	"time"
)

// window is a span of Kazoo's clock, both ends included, to the second.
type window struct{ from, to time.Time }

// month is the month of which Kazoo's database holds the window.
func (w window) month() time.Time {
	u := w.from.UTC()
	return time.Date(u.Year(), u.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// windows splits a span into pieces that Crossbar answers in one query: each
// within one month, because attempts are kept in a database a month, which also
// keeps it below Crossbar's limit of 31 days.
func windows(from, to time.Time) iter.Seq[window] {
	return func(yield func(window) bool) {
		from = from.Truncate(time.Second)
		for from.Before(to) {
			next := window{from: from}.month().AddDate(0, 1, 0)
			if !yield(window{from, minTime(next.Add(-time.Second), to)}) {
				return
			}
			from = next
		}
	}
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
