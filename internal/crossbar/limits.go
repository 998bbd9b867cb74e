package crossbar

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrLimit reports that an answer or a listing exceeded a limit of this package.
// The rest is unknown.
var ErrLimit = errors.New("beyond the limit")

// LimitError is a listing that exceeded a limit. It is ErrLimit and ErrIncomplete
// to errors.Is.
type LimitError struct {
	Op    string // one of Operations
	What  string // "pages", "items", "bytes" or "time"
	Limit string // with its unit
	// Pages, Items and Bytes were read until then; bytes are counted after
	// decompression.
	Pages, Items int
	Bytes        int64
}

// Error names the listing, the limit and what was read.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%s was given up: more than %s (read: %d items on %d pages, %d bytes); the listing is incomplete",
		doing(e.Op), e.Limit, e.Items, e.Pages, e.Bytes)
}

// Is makes it ErrLimit and ErrIncomplete.
func (e *LimitError) Is(target error) bool { return target == ErrLimit || target == ErrIncomplete }

// limits bound one answer and one listing. Bytes are counted after decompression.
type limits struct {
	answer int64 // bytes of an answer that is not a page of a listing
	page   int64 // bytes of a page
	whole  int64 // bytes of a listing in one answer (paginate=false); 100,000 users are 25 MB
	item   int64 // bytes of one element of an answer: it takes about three times that in memory

	bytes    int64 // all pages of a listing
	items    int   // distinct ones
	hooks    int   // items that are kept in memory: hooks and offers
	samples  int   // each costs a request
	pages    int
	attempts int           // pages of attempts
	time     time.Duration // of a listing
}

func defaultLimits() limits {
	return limits{
		answer: 16 << 20, page: 16 << 20, whole: 32 << 20, item: 8 << 20,
		bytes: 256 << 20, items: 200_000, hooks: 20_000, samples: 500, pages: 5000, attempts: MaxAttemptPages, time: 30 * time.Minute,
	}
}

// meter counts the bytes read of an answer. It fails when the answer, or the
// element that is being read, becomes too large.
type meter struct {
	r            io.Reader
	total, item  int64 // limits
	read, wholes int64 // bytes so far, and up to the last whole element
}

func (m *meter) Read(p []byte) (int, error) {
	left := m.total - m.read
	if left <= 0 {
		return 0, fmt.Errorf("%w: more than %d bytes", errTooLarge, m.total)
	}
	inItem := m.wholes + m.item - m.read
	if inItem <= 0 {
		return 0, fmt.Errorf("%w: one element has more than %d bytes", errTooLarge, m.item)
	}
	n, err := m.r.Read(p[:min(int64(len(p)), left, inItem)])
	m.read += int64(n)
	return n, err
}

// whole records that everything up to the offset was read as whole elements.
func (m *meter) whole(offset int64) { m.wholes = max(m.wholes, offset) }
