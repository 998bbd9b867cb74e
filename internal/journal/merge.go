package journal

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"kazoohook/internal/event"
)

// Bounds of what the tables may lag behind the events. A merge touches about a
// page per entry of a large index, so a large one is much cheaper; the price is
// memory and the time to read the rest again after a crash.
const (
	mergeAt   = 1 << 11 // events, start merging
	mergeHard = 2       // times as many: finish before taking more
	mergeStep = 128     // entries in one transaction: what an append may have to wait for
	mergeRate = 4       // entries for every event that comes meanwhile: at most 3 are needed
)

// merge brings the tables that follow from the events up to date, in sorted
// order so that neighbours share a page, and in steps so that no append waits
// long. A crash in the middle does no harm: every step can be repeated.
type merge struct {
	through int64 // the event up to which it goes
	entries []entry
	late    []entry
	life    []lifecycle
	names   []nameKey

	allEntries []entry // the memory of entries and life, for the next merge
	allLife    []lifecycle
}

type entry struct{ key, seq int64 }

func compareEntries(a, b entry) int {
	return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.seq, b.seq))
}

// newMerge collects all that is pending, in the memory of the last merge, if
// there was one.
func newMerge(t *tail, last *merge) *merge {
	m := &merge{through: t.last, names: t.fresh}
	if last != nil {
		m.entries, m.life = last.allEntries[:0], last.allLife[:0]
	}
	lastAccount, lastName := entry{}, entry{}
	for i, p := range t.pending {
		seq := t.seqAt(i)
		m.entries = append(m.entries, entry{p.identity, seq})
		if e := (entry{p.account, block(seq)}); e != lastAccount {
			m.entries, lastAccount = append(m.entries, e), e
		}
		if e := (entry{p.name, block(seq)}); e != lastName {
			m.entries, lastName = append(m.entries, e), e
		}
		if p.late {
			m.late = append(m.late, entry{p.received, seq})
		}
	}
	slices.SortFunc(m.entries, compareEntries)
	m.entries = slices.Compact(m.entries)
	m.allEntries = m.entries
	slices.SortFunc(m.late, compareEntries)
	for _, l := range t.life {
		m.life = append(m.life, l)
	}
	m.allLife = m.life
	slices.SortFunc(m.life, func(a, b lifecycle) int { return bytes.Compare(a.key[:], b.key[:]) })
	return m
}

const (
	putLife = "INSERT OR REPLACE INTO lifecycle (" + lifecycleColumns + ") VALUES " + lifeRow
	lifeRow = "(?,?,?,?,?,?,?,?,?,?)"
	putName = "INSERT OR IGNORE INTO names (kind, name) VALUES (?,?)"
)

// step writes up to n entries and says whether the merge is complete. What it
// wrote is dropped from m only by its caller's done, after the commit.
func (m *merge) step(c *conn, n int) (done func(*tail), complete bool, err error) {
	take := func(have int) int {
		k := min(n, have)
		n -= k
		return k
	}
	entries, late, life := take(len(m.entries)), take(len(m.late)), take(len(m.life))
	if err := putEntries(c, "idx (h, pos)", m.entries[:entries]); err != nil {
		return nil, false, err
	}
	if err := putEntries(c, "late (received, seq)", m.late[:late]); err != nil {
		return nil, false, err
	}
	if err := putLives(c, m.life[:life]); err != nil {
		return nil, false, err
	}
	complete = n > 0
	if complete {
		for _, nm := range m.names {
			if err := c.exec(putName, string(nm.kind), nm.name); err != nil {
				return nil, false, err
			}
		}
		if err := setMeta(c, metaIndexed, m.through, nil); err != nil {
			return nil, false, err
		}
	}
	return func(t *tail) {
		t.mu.Lock()
		defer t.mu.Unlock()
		for i := range life {
			if l := &m.life[i]; t.life[l.key] == *l {
				delete(t.life, l.key)
			}
		}
		m.entries, m.late, m.life = m.entries[entries:], m.late[late:], m.life[life:]
		if complete {
			t.merged(m)
		}
	}, complete, nil
}

// startMerge begins a merge of all that is pending now.
func (w *writer) startMerge() {
	w.merge = newMerge(w.j.tail, w.merged)
	w.merged = w.merge
}

// mergeStep does up to n entries of it, in a transaction of their own.
func (w *writer) mergeStep(n int) {
	w.owed, w.due = 0, 0
	var done func(*tail)
	var complete bool
	err := w.alone(func() (err error) {
		done, complete, err = w.merge.step(w.c, n)
		return err
	})
	w.checkpoints.wrote(w.c, nil, min(n, mergeAt))
	if err != nil {
		w.merge = nil // collected anew later: all of it can be repeated
		return
	}
	done(w.j.tail)
	if complete {
		w.merge = nil
	}
}

// several is how many rows go into one statement where there are many.
const several = 16

// putLives inserts or replaces rows of the lifecycle table.
func putLives(c *conn, lives []lifecycle) error {
	for _, n := range []int{several, 1} {
		sql := putLife + strings.Repeat(","+lifeRow, n-1)
		args := c.room(n * lifeColumns)
		for ; len(lives) >= n; lives = lives[n:] {
			for i := range lives[:n] {
				lives[i].args(args[i*lifeColumns:])
			}
			if err := c.execNamed(sql, args); err != nil {
				return err
			}
		}
	}
	return nil
}

// putEntries inserts entries, several with each statement.
func putEntries(c *conn, table string, entries []entry) error {
	for _, n := range []int{several, 1} {
		sql := "INSERT OR IGNORE INTO " + table + " VALUES (?,?)" + strings.Repeat(",(?,?)", n-1)
		args := c.room(2 * n)
		for ; len(entries) >= n; entries = entries[n:] {
			for i, e := range entries[:n] {
				args[2*i].Value, args[2*i+1].Value = e.key, e.seq
			}
			if err := c.execNamed(sql, args); err != nil {
				return err
			}
		}
	}
	return nil
}

// merged forgets what the tables now know.
func (t *tail) merged(m *merge) {
	n := int(m.through - t.indexed)
	rest := copy(t.pending, t.pending[n:])
	t.pending = t.pending[:rest]
	if rest == 0 && cap(t.pending) > mergeHard*mergeAt {
		t.pending = nil
	}
	t.fresh = append([]nameKey(nil), t.fresh[len(m.names):]...)
	t.indexed = m.through
	for k, seq := range t.keys {
		if seq <= t.indexed {
			delete(t.keys, k)
		}
	}
	if len(t.keys) == 0 {
		t.keys = map[event.Key]int64{}
	}
}
