package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ctx0 is for what must not be interrupted half-way.
var ctx0 = context.Background()

// errDamage is what the checks find.
type errDamage string

func (e errDamage) Error() string { return string(e) }

// damaged wraps a failure to open, with what to do about it where the files are
// to blame.
func (j *Journal) damaged(err error) error {
	var damage errDamage
	var se *sqlite.Error
	code := 0
	if errors.As(err, &se) {
		code = se.Code() & 0xff
	}
	if !errors.As(err, &damage) && code != sqlite3.SQLITE_CORRUPT && code != sqlite3.SQLITE_NOTADB {
		if code != 0 {
			err = j.unavailable(err)
		}
		return fmt.Errorf("open journal %s: %w", j.path, err)
	}
	return fmt.Errorf("%w: %s: %w. Nothing was changed. Put back a backup of %[2]s (and %[2]s-wal, if it has one), "+
		"or move both files to another place: then a new journal is begun, and Kazoo's record of failed attempts "+
		"and a resync bring back what can be had", ErrCorrupt, j.path, err)
}

// checkFiles looks for damage that SQLite would not report at once, or would
// silently repair by dropping events. It reads the header of the database and
// its log of recent changes (the WAL), nothing that grows with the journal.
func checkFiles(path string) error {
	wal, err := readWAL(path + "-wal")
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		if wal.frames > 0 {
			return errDamage("the file is missing, but its -wal file is there")
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Size() == 0 && wal.frames == 0 {
		return nil
	}
	var h [100]byte
	if _, err := io.ReadFull(f, h[:]); err != nil {
		return errDamage(fmt.Sprintf("the file has only %d bytes", st.Size()))
	}
	if string(h[:16]) != "SQLite format 3\x00" {
		return errDamage("the file is not a database (its header is wrong)")
	}
	if size := binary.BigEndian.Uint16(h[16:]); size != pageSize {
		return errDamage(fmt.Sprintf("its page size is %d, not %d", size, pageSize))
	}
	want := binary.BigEndian.Uint32(h[28:])
	if wal.pages > 0 {
		want = wal.pages
	}
	if have := uint32(st.Size() / pageSize); have < want {
		for p := have + 1; p <= want; p++ {
			if _, ok := wal.has[p]; !ok {
				return errDamage(fmt.Sprintf("the file is cut off: it has %d bytes of %d", st.Size(), int64(want)*pageSize))
			}
		}
	}
	if wal.lost > 0 {
		return errDamage(fmt.Sprintf("its -wal file is damaged in the middle: %d changes after that place were acknowledged and would be lost", wal.lost))
	}
	return nil
}

const ends = 100

// checkEnds looks whether the newest and oldest events are there and readable,
// and whether anything speaks of newer ones.
func (w *writer) checkEnds(ctx context.Context, indexed int64) error {
	t := w.j.tail
	moved, _, err := getMeta(ctx, w.c, metaMoved)
	if err != nil {
		return err
	}
	acked, _, err := getMeta(ctx, w.c, metaUnacked)
	if err != nil {
		return err
	}
	if known := max(indexed, moved, acked); known > t.last {
		return errDamage(fmt.Sprintf("events are missing at its end: event %d was stored once, the newest now is %d", known, t.last))
	}
	if t.last == 0 {
		return nil
	}
	for _, r := range [][2]int64{{t.first, min(t.last, t.first+ends-1)}, {max(t.first, t.last-ends+1), t.last}} {
		var n int64
		if _, err := w.c.ints(ctx, "SELECT count(*) FROM events WHERE seq BETWEEN ? AND ?", []any{r[0], r[1]}, &n); err != nil {
			return err
		}
		if want := r[1] - r[0] + 1; n != want {
			return errDamage(fmt.Sprintf("%d of the events %d to %d are missing", want-n, r[0], r[1]))
		}
	}
	for _, seq := range []int64{t.first, t.last} {
		if _, _, err := readRow(ctx, w.c, seq); err != nil {
			return fmt.Errorf("event %d is unreadable: %w", seq, err)
		}
	}
	return nil
}
