package journal

import (
	"context"
	"errors"
	"sync"
)

// pool are the connections for reading. In WAL mode they neither wait for the
// writer nor delay it, but while one is in the middle of a query the WAL can't
// start over: so nobody keeps one while a caller consumes rows.
type pool struct {
	path  string
	fault func(string) error
	slots chan struct{}

	mu     sync.Mutex
	idle   []*conn
	closed bool
}

const (
	maxReaders  = 4
	idleReaders = 2
)

func newPool(path string, fault func(string) error) *pool {
	return &pool{path: path, fault: fault, slots: make(chan struct{}, maxReaders)}
}

// use lends a connection to f.
func (p *pool) use(ctx context.Context, f func(*conn) error) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.slots }()
	c, err := p.get()
	if err != nil {
		return err
	}
	err = f(c)
	p.put(c, err)
	return err
}

func (p *pool) get() (*conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return c, nil
	}
	c, err := openConn(p.path, "query_only(1)", "cache_size(-1000)")
	if err == nil {
		c.fault = p.fault
	}
	return c, err
}

// put takes a connection back, unless it saw a failure that might be its own.
func (p *pool) put(c *conn, err error) {
	p.mu.Lock()
	keep := !p.closed && len(p.idle) < idleReaders && (err == nil || isSoft(err) || errors.Is(err, context.Canceled))
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		_ = c.close()
	}
}

// close waits for the queries that are running.
func (p *pool) close() error {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	var errs []error
	for _, c := range idle {
		errs = append(errs, c.close())
	}
	for range maxReaders {
		p.slots <- struct{}{}
	}
	for range maxReaders {
		<-p.slots
	}
	return errors.Join(errs...)
}
