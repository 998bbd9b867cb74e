package journal

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/tables"
)

// outward is the part of a tx that writes rows of deliveries.
type outward struct{ insertDeliveries, insertAttempts *database.Inserter }

func newOutward() outward {
	return outward{
		insertDeliveries: database.NewInserter("INSERT OR IGNORE INTO deliveries", deliveryColumns),
		insertAttempts:   database.NewInserter("INSERT OR IGNORE INTO attempts", attemptColumns),
	}
}

func (cmd *configured) apply(t *tx) (res result, _ error) {
	at := tables.Nanos(t.at.Wall)
	for _, name := range cmd.Forget {
		const rest = " WHERE destination = ?1 AND NOT EXISTS (SELECT 1 FROM destinations WHERE name = ?1)"
		for _, rows := range []string{"destinations WHERE removed > 0 AND name = ?1", "deliveries" + rest, "attempts" + rest} {
			t.exec("DELETE FROM "+rows, name)
		}
	}
	for _, d := range cmd.Add {
		t.exec("INSERT INTO destinations (name, cursor, paused, since, seen, removed, accepted, at) VALUES (?,?,0,?,?,0,0,0) "+
			"ON CONFLICT (name) DO UPDATE SET removed = 0", d.Name, d.Cursor, at, at)
	}
	for _, name := range cmd.Remove {
		t.exec("UPDATE destinations SET removed = ? WHERE name = ? AND removed = 0", at, name)
	}
	return res, nil
}

// cursor returns a destination's cursor, or ErrNoDestination.
func (t *tx) cursor(destination string) (at int64, err error) {
	at, found := t.find("SELECT cursor FROM destinations WHERE name = ?", destination)
	if !found {
		err = fmt.Errorf("%w: %q", ErrNoDestination, destination)
	}
	return at, err
}

const deliveryColumns = "seq,destination,state,redelivered,id,event,key,attempts,base,due,wait,at,no_body,error"

// insert writes rows at once, several with each statement. note gets its error.
func (t *tx) insert(note func(error), in *database.Inserter, n int, values func(i int, v []any) []any) {
	if t.failed == nil {
		note(in.Insert(t.c, n, values))
		t.dirty = true
	}
}

func (cmd *judged) apply(t *tx) (res result, _ error) {
	at, err := t.cursor(cmd.Destination)
	if err != nil {
		return res, err
	}
	if at != cmd.From {
		return res, fmt.Errorf("%w: %q is at %d, not %d", ErrCursorMoved, cmd.Destination, at, cmd.From)
	}
	wall := tables.Nanos(t.at.Wall)
	t.more += len(cmd.Rows) / 8
	t.insert(t.fail, t.insertDeliveries, len(cmd.Rows), func(i int, v []any) []any {
		r := &cmd.Rows[i]
		at := int64(0)
		if r.State == Dead {
			at = wall
		}
		return append(v, r.Seq, cmd.Destination, int64(r.State), int64(0), r.ID[:], r.Event, r.Key, int64(0), int64(0), tables.Nanos(r.Due), int64(0), at,
			tables.Flag(r.State == Dead), tables.Text(r.Error))
	})
	t.exec("UPDATE destinations SET cursor = ? WHERE name = ?", cmd.To, cmd.Destination)
	return res, nil
}

func (cmd *decided) apply(t *tx) (res result, _ error) {
	for _, seq := range cmd.Match {
		t.spare("UPDATE deliveries SET state = 0, due = 0 WHERE seq = ? AND destination = ? AND state = 1", seq, cmd.Destination)
	}
	for _, seq := range cmd.Drop {
		t.spare("DELETE FROM deliveries WHERE seq = ? AND destination = ? AND state = 1", seq, cmd.Destination)
	}
	return res, nil
}

// keptAttempts is how many attempts at one delivery are kept.
const keptAttempts = 50

func (cmd *attempted) apply(t *tx) (res result, _ error) {
	accepted, d := int64(0), cmd.Destination
	waited := int64(math.MaxInt64) // deliveries of events up to this one have a row
	if cmd.Judged != nil {
		waited = cmd.Judged.From
		if _, err := cmd.Judged.apply(t); err != nil {
			return res, err
		}
	} else if _, err := t.cursor(d); err != nil {
		return res, err
	}
	t.more += len(cmd.Outcomes) / 4
	// Most events are delivered at once; they are written together.
	var first []*Outcome
	for i := range cmd.Outcomes {
		o := &cmd.Outcomes[i]
		if o.Delivered && o.First {
			first = append(first, o)
			continue
		}
		accepted += t.outcomeOf(cmd, i)
	}
	accepted += t.delivered(d, first, waited)
	for i := len(cmd.Outcomes) - 1; i >= 0; i-- {
		o := &cmd.Outcomes[i]
		if o.Skipped {
			continue
		}
		t.exec("UPDATE destinations SET accepted = accepted + ?, at = ?, status = ?, excerpt = ?, error = ? WHERE name = ?",
			accepted, tables.Nanos(o.At), tables.Text(o.Status), tables.Text(o.Excerpt), tables.Text(o.Error), d)
		break
	}
	if cmd.Pause != nil {
		return res, t.pause(d, *cmd.Pause)
	}
	return res, nil
}

// outcomeOf applies the i-th outcome to its delivery, and returns how many deliveries
// it ended with success.
func (t *tx) outcomeOf(cmd *attempted, i int) (ended int64) {
	o, d := &cmd.Outcomes[i], cmd.Destination
	t.before("SELECT "+deliveryColumns+" FROM deliveries WHERE seq = ? AND destination = ?", o.Seq, d)
	if !o.Skipped && (!o.Uncounted || o.Delivered) {
		t.note(d, o)
	}
	switch {
	case o.Delivered:
		return t.counted(t.spare("DELETE FROM deliveries WHERE seq = ? AND destination = ?", o.Seq, d))
	case o.Dead:
		died := t.spare("UPDATE deliveries SET state = 2, attempts = ?, base = ?, due = 0, wait = 0, at = ?, no_body = ?, error = ? "+
			"WHERE seq = ? AND destination = ? AND state < 2", int64(o.Attempts), o.Base, tables.Nanos(o.At), tables.Flag(o.NoBody), o.Error, o.Seq, d)
		if o.Report != nil && t.counted(died) > 0 {
			t.own(*o.Report, cmd.IDs[i])
		}
	default:
		t.spare("UPDATE deliveries SET attempts = ?, base = ?, due = ?, wait = ?, at = ?, error = ? "+
			"WHERE seq = ? AND destination = ? AND state = 0", int64(o.Attempts), o.Base, tables.Nanos(o.Due), int64(o.Wait), tables.Nanos(o.At), o.Error, o.Seq, d)
	}
	return 0
}

const attemptColumns = "seq, destination, n, at, took, status, error"

// delivered ends deliveries whose first attempt succeeded, and returns how many. Events
// after waited have no row in deliveries.
func (t *tx) delivered(destination string, list []*Outcome, waited int64) (ended int64) {
	t.insert(t.look, t.insertAttempts, len(list), func(i int, v []any) []any {
		o := list[i]
		return append(v, o.Seq, destination, int64(1), tables.Nanos(o.At), int64(o.Took), tables.Text(o.Status), tables.Text(o.Error))
	})
	ended = int64(len(list))
	list = slices.DeleteFunc(list, func(o *Outcome) bool { return o.Seq > waited })
	ended -= int64(len(list))
	const several = 16
	args := make([]any, 0, several+1)
	for len(list) > 0 {
		n := 1
		if len(list) >= several {
			n = several
		}
		args = append(args[:0], destination)
		for _, o := range list[:n] {
			args = append(args, o.Seq)
		}
		where := " FROM deliveries WHERE destination = ? AND seq IN (" + database.Marks(n) + ")"
		t.before("SELECT "+deliveryColumns+where+" ORDER BY seq", args...)
		ended += t.counted(t.spare("DELETE"+where, args...))
		list = list[n:]
	}
	return ended
}

// note keeps an attempt; its number is one above the last that is kept. An attempt that
// began at the same time is the same one, and is kept already.
func (t *tx) note(destination string, o *Outcome) {
	t.spare("INSERT INTO attempts ("+attemptColumns+") SELECT ?1, ?2, ifnull(max(n), 0) + 1, ?3, ?4, ?5, ?6 FROM attempts WHERE seq = ?1 AND destination = ?2 "+
		"HAVING NOT ifnull(max(at = ?3), 0)",
		o.Seq, destination, tables.Nanos(o.At), int64(o.Took), tables.Text(o.Status), tables.Text(o.Error))
	if !o.Delivered {
		t.spare("DELETE FROM attempts WHERE seq = ?1 AND destination = ?2 AND n <= (SELECT max(n) - ?3 FROM attempts WHERE seq = ?1 AND destination = ?2)",
			o.Seq, destination, int64(keptAttempts))
	}
}

func (cmd *paused) apply(t *tx) (result, error) { return result{}, t.pause(cmd.Destination, cmd.Pause) }

func (t *tx) pause(destination string, p Pause) error {
	if _, err := t.cursor(destination); err != nil {
		return err
	}
	t.before("SELECT paused, since FROM destinations WHERE name = ?", destination)
	t.exec("UPDATE destinations SET paused = ?, since = ? WHERE name = ? AND paused <> ?", int64(p), tables.Nanos(t.at.Wall), destination, int64(p))
	return nil
}

// counted notes how many rows a statement changed, without those that triggers changed,
// where that decides something.
func (t *tx) counted(rows int64) int64 {
	if t.log != nil {
		t.saw(rows)
	}
	return rows
}

func (cmd *placed) apply(t *tx) (res result, _ error) {
	for _, p := range cmd.Accounts {
		t.before("SELECT ancestors FROM accounts WHERE account = ?", p.Account)
		t.spare("INSERT INTO accounts (account, ancestors) VALUES (?,?) ON CONFLICT (account) DO UPDATE SET ancestors = excluded.ancestors",
			p.Account, strings.Join(p.Ancestors, "/"))
	}
	return res, nil
}
