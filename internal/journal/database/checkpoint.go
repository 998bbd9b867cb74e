package database

import "sync/atomic"

// PageSize is the size of a page of the database in bytes.
const PageSize = 4096

// Checkpointer copies SQLite's log (the WAL) into the database, so that no commit has
// to do it. Under steady load the log grows meanwhile, so the writer copies the small
// rest between two transactions. Its next transaction then starts the log from the
// beginning. The writer calls its methods.
type Checkpointer struct {
	c       *Conn
	wake    chan struct{}
	stopped chan struct{}
	copied  atomic.Bool // the writer must copy the rest
	pages   int         // about how many were written since the last copy
}

const (
	// checkpointAt is about how many pages the log has when it is copied.
	checkpointAt = 3000

	checkpoint = "PRAGMA wal_checkpoint(PASSIVE)"
)

// NewCheckpointer starts a Checkpointer, which owns the connection c and has one
// goroutine until Close.
func NewCheckpointer(c *Conn) *Checkpointer {
	p := &Checkpointer{c: c, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	go func() {
		defer close(p.stopped)
		for range p.wake {
			Checkpoint(p.c)
			p.copied.Store(true)
		}
	}()
	return p
}

// Checkpoint copies the log on a connection. A failure shows in the next commit that
// needs the room.
func Checkpoint(c *Conn) { _ = c.Exec(checkpoint) }

// Wrote notes that about so many pages were written.
func (p *Checkpointer) Wrote(pages int) {
	if p.pages += pages; p.pages < checkpointAt {
		return
	}
	p.pages = 0
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Rest copies what came while the bulk was copied, on the writer's connection.
func (p *Checkpointer) Rest(c *Conn) {
	if p.copied.Swap(false) {
		Checkpoint(c)
	}
}

// Close ends it and closes its connection.
func (p *Checkpointer) Close() error {
	close(p.wake)
	<-p.stopped
	return p.c.Close()
}
