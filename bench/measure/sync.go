package measure

import (
	"errors"
	"os"
	"slices"
	"sync"
	"time"
)

// pages is a preallocated file that is written over and over, one frame of a
// write-ahead log (a page and its header) at a time. For the disk this is the same
// as the journal's log once that has been filled for the first time.
type pages struct {
	mu    sync.Mutex
	f     *os.File
	frame []byte
	n, at int
}

func newPages(dir string, n int) (*pages, error) {
	f, err := os.CreateTemp(dir, "sync")
	if err != nil {
		return nil, err
	}
	p := &pages{f: f, frame: make([]byte, 4096+24), n: n}
	for i := range n {
		if _, err := f.WriteAt(p.frame, int64(i*len(p.frame))); err != nil {
			return nil, errors.Join(err, p.close())
		}
	}
	return p, f.Sync()
}

// write writes and syncs one frame.
func (p *pages) write() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = (p.at + 1) % p.n
	if _, err := p.f.WriteAt(p.frame, int64(p.at*len(p.frame))); err != nil {
		return err
	}
	return p.f.Sync()
}

// close removes the file, too.
func (p *pages) close() error {
	return errors.Join(p.f.Close(), os.Remove(p.f.Name())) //nolint:gosec // our own name
}

// syncTime is the median time of n writes. They begin at intervals of every, or one
// right after the other if they take longer.
func syncTime(dir string, n int, every time.Duration) (_ time.Duration, err error) {
	p, err := newPages(dir, n)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	times := make([]time.Duration, n)
	begin := time.Now()
	for i := range times {
		sleepUntil(begin.Add(time.Duration(i) * every))
		start := time.Now()
		if err := p.write(); err != nil {
			return 0, err
		}
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	return times[n/2], nil
}
