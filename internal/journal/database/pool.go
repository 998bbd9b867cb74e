package database

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed says that the journal has been closed.
var ErrClosed = errors.New("journal closed")

// Pool holds the connections for reading. In WAL mode they neither wait for the
// writer nor delay it. But while a query is running, the WAL can't start from
// the beginning, so no connection is held while a caller consumes rows.
type Pool struct {
	open   func() (*Conn, error)
	used   chan struct{} // one element for each lent connection
	idle   chan *Conn
	closed chan struct{}
	once   sync.Once
}

const (
	maxReaders  = 4
	idleReaders = 2
)

// NewPool returns a pool that opens connections when they are needed.
func NewPool(open func() (*Conn, error)) *Pool {
	return &Pool{open: open, used: make(chan struct{}, maxReaders), idle: make(chan *Conn, idleReaders), closed: make(chan struct{})}
}

// Use lends a connection to f. Errors: ErrClosed, the context's, and those of f.
func (p *Pool) Use(ctx context.Context, f func(*Conn) error) (err error) {
	select {
	case p.used <- struct{}{}:
	case <-p.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.used }()
	var c *Conn
	select {
	case <-p.closed:
		return ErrClosed
	case c = <-p.idle:
	default:
		if c, err = p.open(); err != nil {
			return err
		}
	}
	if err = f(c); !IsSQLite(err) { // else the failure might be the connection's
		select {
		case p.idle <- c:
			return err
		default:
		}
	}
	_ = c.Close()
	return err
}

// Close waits for running queries and closes the connections.
func (p *Pool) Close() (err error) {
	p.once.Do(func() {
		close(p.closed)
		for range maxReaders {
			p.used <- struct{}{}
		}
		close(p.idle)
		for c := range p.idle {
			err = errors.Join(err, c.Close())
		}
	})
	return err
}
