package journal

import (
	"context"
	"errors"
	"sort"

	"kazoohook/internal/journal/database"
	"kazoohook/internal/snapshot"
)

// Backlog is what is kept for destinations beyond retention.
type Backlog struct {
	Events, Bytes int64 // both are estimates
}

// Backlog returns how much is kept for destinations: events that retention has
// removed, and those that it may not remove because some destination's cursor
// is before them.
func (j *Journal) Backlog(ctx context.Context) (b Backlog, err error) {
	err = j.readDeliveries(ctx, func(c *conn) error {
		b, _, err = j.heldBack(ctx, c)
		return err
	})
	return b, err
}

// heldBack returns the backlog and the cursor that holds up retention; without
// destinations, the newest event.
func (j *Journal) heldBack(ctx context.Context, c *conn) (b Backlog, cursor int64, err error) {
	first, last := j.tail.Bounds()
	cursor = last
	if _, err := c.Ints(ctx, "SELECT min(cursor) FROM destinations WHERE removed = 0 HAVING count(*) > 0", nil, &cursor); err != nil {
		return b, cursor, err
	}
	if _, err := c.Ints(ctx, "SELECT events, bytes FROM backlog_size", nil, &b.Events, &b.Bytes); err != nil {
		return b, cursor, err
	}
	if n := last - max(cursor, first-1); n > 0 {
		size, err := eventSize(ctx, c, first, last, b.Bytes)
		if err != nil {
			return b, cursor, err
		}
		b.Events, b.Bytes = b.Events+n, b.Bytes+n*size
	}
	return b, cursor, nil
}

// eventSize returns the average number of bytes that an event takes on disk.
func eventSize(ctx context.Context, c *conn, first, last, backlog int64) (int64, error) {
	used, err := c.Used(ctx)
	return max(rowOverhead, (used-backlog)/max(1, last-first+1)), err
}

// BacklogExceeded receives the number up to which destinations must give up their
// events, as long as the backlog is larger or older than Options allow. It is measured
// every MaintainEvery, on a node of a cluster while it leads. It holds only then, so who
// doesn't wait for it at that moment gets the next one.
func (j *Journal) BacklogExceeded() <-chan int64 { return j.exceeded }

// backlogStep is how many events destinations give up at once, at most.
const backlogStep = 100_000

// checkBacklog asks the destinations to give up events that are beyond the limits
// of the backlog.
func (w *writer) checkBacklog() error {
	through, err := w.excess()
	if err != nil || through == 0 {
		return err
	}
	select {
	case w.j.exceeded <- through:
	default: // nobody waits for it
	}
	return nil
}

// excess finds the last event that is beyond the limits of the backlog; 0 if none is.
func (w *writer) excess() (through int64, err error) {
	o := w.j.opt
	if o.Retention <= 0 && o.MaxBytes <= 0 { // nothing is removed at all
		return 0, nil
	}
	b, cursor, err := w.j.heldBack(ctx0, w.c)
	if err != nil || b.Events == 0 {
		return 0, err
	}
	through, err = w.tooOld(cursor)
	if err == nil && through == 0 && o.BacklogBytes > 0 && b.Bytes > o.BacklogBytes {
		var bytes int64
		if bytes, err = w.beyond(b.Bytes, cursor); err == nil && bytes > o.BacklogBytes {
			through, err = w.tooMany(cursor, bytes-o.BacklogBytes+o.BacklogBytes/64)
		}
	}
	return through, err
}

// beyond returns how much of a backlog is kept for destinations only. The rest is young
// enough and within MaxBytes, so it would be kept anyway.
func (w *writer) beyond(backlog, cursor int64) (bytes int64, err error) {
	o := w.j.opt
	var kept int64
	if _, err := w.c.Ints(ctx0, "SELECT bytes FROM backlog_size", nil, &kept); err != nil {
		return 0, err
	}
	held := backlog - kept // still among the events, because of a cursor
	first, last := w.j.tail.Bounds()
	cursor = max(cursor, first-1)
	if held <= 0 || cursor >= last {
		return backlog, nil
	}
	var old, over int64
	if o.Retention > 0 {
		through, err := w.lastBefore(w.now().Add(-o.Retention), cursor+1, last)
		if err != nil {
			return 0, err
		}
		old = held / (last - cursor) * (through - cursor)
	}
	if o.MaxBytes > 0 {
		used, err := w.c.Used(ctx0)
		if err != nil {
			return 0, err
		}
		over = min(max(0, used-kept-old-o.MaxBytes), held-old)
	}
	return kept + old + over, nil
}

// lastBefore is the last event from first to last that is older than a time, first-1
// if none is.
func (w *writer) lastBefore(cut snapshot.Clock, first, last int64) (seq int64, err error) {
	n := sort.Search(int(last-first+1), func(i int) bool {
		clock := int64(cut)
		_, failed := w.c.Ints(ctx0, "SELECT clock FROM events WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT 1", []any{first + int64(i), last}, &clock)
		err = errors.Join(err, failed)
		return clock >= int64(cut)
	})
	return first + int64(n) - 1, err
}

// tooOld finds the last event of the backlog that is too old.
func (w *writer) tooOld(cursor int64) (through int64, err error) {
	age := max(w.j.opt.Retention, w.j.opt.BacklogAge)
	if w.j.opt.BacklogAge <= 0 {
		return 0, nil
	}
	cut := int64(w.now().Add(-age))
	oldest := cut
	if _, err := w.c.Ints(ctx0, "SELECT clock FROM backlog ORDER BY seq LIMIT 1", nil, &oldest); err != nil {
		return 0, err
	}
	if oldest < cut {
		_, err = w.c.Ints(ctx0, "SELECT max(seq) FROM (SELECT seq, clock FROM backlog ORDER BY seq LIMIT ?) WHERE clock < ?", []any{int64(backlogStep), cut}, &through)
		return through, err
	}
	_, err = w.c.Ints(ctx0, "SELECT max(seq) FROM (SELECT seq, clock FROM events WHERE seq > ? ORDER BY seq LIMIT ?) WHERE clock < ?",
		[]any{cursor, int64(backlogStep), cut}, &through)
	return through, err
}

// tooMany finds the oldest events of the backlog that together have the given
// number of bytes, and returns the last of them.
func (w *writer) tooMany(cursor, bytes int64) (through int64, err error) {
	const sizes = "SELECT seq, ifnull(length(body), 0) + 500 FROM "
	for _, part := range []struct {
		sql   string
		after int64
	}{{sizes + "backlog WHERE seq > ? ORDER BY seq LIMIT ?", 0}, {sizes + "events WHERE seq > ? ORDER BY seq LIMIT ?", cursor}} {
		err := w.c.Rows(ctx0, part.sql, []any{part.after, int64(backlogStep)}, func(v database.Row) error {
			through = v.Int(0)
			if bytes -= v.Int(1); bytes <= 0 {
				return database.ErrStop
			}
			return nil
		})
		if err != nil || through > 0 {
			return through, err
		}
	}
	return through, nil
}

// hold copies the events of a range that destinations still need to the backlog, and
// forgets the attempts at the others.
func (t *tx) hold(first, last int64) {
	const needed = "SELECT d.seq FROM deliveries d JOIN destinations s ON s.name = d.destination WHERE d.seq BETWEEN ?1 AND ?2 AND d.no_body = 0 AND s.removed = 0"
	t.exec("INSERT INTO backlog SELECT * FROM events WHERE seq IN ("+needed+") ORDER BY seq", first, last)
	t.spare("DELETE FROM attempts WHERE seq BETWEEN ?1 AND ?2 AND seq NOT IN (SELECT seq FROM deliveries WHERE seq BETWEEN ?1 AND ?2)", first, last)
}
