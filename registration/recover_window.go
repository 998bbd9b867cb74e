package registration

import (
	"iter"
	"time"
)

// window is a span of Kazoo's clock, both ends included, to the second.
type window struct{ from, to time.Time }

// month returns the month of Kazoo's database for the window.
func (w window) month() time.Time {
	u := w.from.UTC()
	return time.Date(u.Year(), u.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// windows splits a span into windows that Crossbar answers in one query: each
// within one month, because Kazoo has a database of attempts for each month. That
// is also below Crossbar's limit of 31 days.
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
