package journal

import "sync/atomic"

// checkpointer copies the log of recent changes (the WAL) into the database, so
// that the log can start over. The bulk of it is done here, beside the appends;
// SQLite by itself does it within the commit that makes the log long, and
// whoever waits for that one waits for a thousand pages and their sync.
//
// Under steady load the log is never copied to its end this way, because it
// grows meanwhile. So the writer copies the little that is left between two
// transactions, and its next one starts the log over.
type checkpointer struct {
	c       *conn
	wake    chan struct{}
	stopped chan struct{}
	copied  atomic.Bool // the rest is the writer's
	frames  int         // about as many are in the log; the writer's
}

const (
	// checkpointAt is how many frames (pages) the log has when it is copied.
	checkpointAt = 1000
	// checkpointHard is how many it has when a commit copies it all the same: the
	// disk is too slow, or a reader is in the way.
	checkpointHard = 4000

	checkpoint = "PRAGMA wal_checkpoint(PASSIVE)"
)

// newCheckpointer starts one with a connection of its own.
func newCheckpointer(path string) (*checkpointer, error) {
	c, err := openConn(path, "synchronous(full)", "wal_autocheckpoint(0)", "cache_size(-64)")
	if err != nil {
		return nil, err
	}
	p := &checkpointer{c: c, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	go p.run()
	return p, nil
}

func (p *checkpointer) run() {
	defer close(p.stopped)
	for range p.wake {
		// A failure shows in the next commit that needs the room; until then the
		// log grows, as it does when SQLite's own attempt fails.
		_ = p.c.exec(checkpoint)
		p.copied.Store(true)
	}
}

// wrote notes that a transaction with some rows and changes to up to as many
// other pages was committed.
func (p *checkpointer) wrote(c *conn, rows []row, pages int) {
	bytes := 0
	for i := range rows {
		bytes += rowOverhead + len(rows[i].Body)
	}
	if p.frames += 1 + pages + bytes/pageSize; p.frames < checkpointAt {
		return
	}
	if n, err := logged(c); err == nil && n < checkpointAt/2 {
		p.frames = n
		return
	}
	p.frames = 0
	select {
	case p.wake <- struct{}{}:
	default: // it is at it
	}
}

// rest copies what came while the bulk was copied, on the writer's connection.
func (p *checkpointer) rest(c *conn) {
	if p.copied.Swap(false) {
		_ = c.exec(checkpoint)
	}
}

// logged is how many frames are in the log and not yet in the database.
func logged(c *conn) (int, error) {
	var busy, frames, copied int64
	_, err := c.ints(ctx0, "PRAGMA wal_checkpoint(NOOP)", nil, &busy, &frames, &copied)
	return int(frames - copied), err
}

func (p *checkpointer) close() error {
	close(p.wake)
	<-p.stopped
	return p.c.close()
}
