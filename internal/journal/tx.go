package journal

import (
	"context"
	"slices"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/tables"
	"kazoohook/internal/snapshot"
)

// ctx0 is for what must not be interrupted.
var ctx0 = context.Background()

// row is an event with what the journal gave it.
type row = tables.Row

// tx is one transaction of the writer, and the dedupe.Lookup that the rules read.
// flush writes the events that its commands append and the objects that they change,
// several rows with each statement. Everything else is written at once. The same tx
// is reused for all transactions.
type tx struct {
	j    *Journal
	c    *conn
	at   snapshot.At // of the command being applied
	next int64       // number of the first event of this transaction
	boot int64       // number of the command that began this process, or the last one without a log
	followed

	rows       []row
	content    map[event.Key]int64 // RuleContent keys of rows
	objects    map[event.Key]*object
	altered    []*tables.Object // in the order of their first change
	duplicates [ruleCount]int64
	looks      bool  // an object has begun to wait for a look-up
	more       int   // about how many pages deliveries and retention changed
	removed    int64 // events up to here are removed; 0: none are
	unread     int64 // how many of them some consumer has not read
	failed     error // error of the storage
	dirty      bool  // a command has changed something

	write *tables.Writer
	outward
}

// object is a row of objects: whether there is one, and whether this transaction
// changed it.
type object struct {
	tables.Object
	known, changed bool
}

func newTx(j *Journal, c *conn) *tx {
	return &tx{j: j, c: c, content: map[event.Key]int64{}, objects: map[event.Key]*object{}, write: tables.NewWriter(c), outward: newOutward()}
}

// reset prepares for the next transaction and reuses the memory of the last.
func (t *tx) reset() error {
	if err := t.followed.reset(t.c); err != nil {
		return err
	}
	clear(t.rows)
	clear(t.content)
	clear(t.objects)
	clear(t.altered)
	t.rows, t.altered = t.rows[:0], t.altered[:0]
	t.duplicates, t.looks, t.more, t.removed, t.unread, t.failed, t.dirty = [ruleCount]int64{}, false, 0, 0, 0, nil, false
	return nil
}

// forget drops what a failed transaction would have written.
func (t *tx) forget() {
	t.write.Forget()
	if t.log != nil {
		t.log.stale = true
	}
}

// look notes an error of a read. Damage is none: what can't be read counts as unknown.
// In a cluster it is one, because the other nodes know it.
func (t *tx) look(err error) {
	if t.log == nil && database.IsDamage(err) {
		t.j.damage.Lookup(err)
		return
	}
	t.fail(err)
}

// fail notes an error of the storage: then the whole transaction fails, whatever the
// rules decide, and changes nothing more.
func (t *tx) fail(err error) {
	if t.failed == nil {
		t.failed = err
	}
}

// change runs a statement at once, before flush, and returns how many rows it changed.
// note gets its error.
func (t *tx) change(note func(error), sql string, args ...any) (rows int64) {
	if t.failed == nil {
		var err error
		rows, err = t.c.Change(sql, args...)
		note(err)
		t.dirty = t.dirty || rows > 0
	}
	return rows
}

// exec changes what must not be lost, with a note for the chain.
func (t *tx) exec(sql string, args ...any) (rows int64) {
	return t.changed(t.change(t.fail, sql, args...), args)
}

// spare is exec for what may stay as it is because of damage. Then a duplicate isn't
// recognised, a delivery is made again, or room isn't given back.
func (t *tx) spare(sql string, args ...any) (rows int64) {
	return t.changed(t.change(t.look, sql, args...), args)
}

func (t *tx) changed(rows int64, args []any) int64 {
	if t.log != nil {
		t.saw(args...)
		t.saw(rows)
	}
	return rows
}

// Object is what is known of an object.
func (t *tx) Object(key event.Key) (snapshot.Object, bool) {
	o := t.object(key)
	return o.Object.Object, o.known
}

func (t *tx) object(key event.Key) *object {
	o, ok := t.objects[key]
	if !ok {
		t.read([]event.Key{key})
		o = t.objects[key]
	}
	if t.log != nil {
		t.saw(o.Values(nil)...)
	}
	return o
}

// readAhead reads the objects of a batch, several with each statement.
func (t *tx) readAhead(batch []*work) {
	var keys []event.Key
	for _, k := range batch {
		if cmd, ok := k.cmd.(*request); ok && isObjectEvent(&cmd.Rec) {
			keys = append(keys, snapshot.Key(cmd.Rec.ObjectType, cmd.Rec.AccountID, cmd.Rec.ObjectID))
		}
	}
	for part := range slices.Chunk(keys, 16) {
		t.read(part)
	}
}

// read reads objects; those that aren't known are noted as such. After damage, each is
// read alone when it is needed.
func (t *tx) read(keys []event.Key) {
	args := make([]any, len(keys))
	for i := range keys {
		args[i] = keys[i][:]
		t.objects[keys[i]] = &object{Object: tables.Object{Key: keys[i]}}
	}
	err := t.c.Rows(ctx0, "SELECT "+tables.ObjectColumns+" FROM objects WHERE key IN ("+database.Marks(len(keys))+")", args, func(v database.Row) error {
		o, err := tables.ScanObject(v)
		if err == nil {
			t.objects[o.Key] = &object{Object: o, known: true}
		}
		return err
	})
	if len(keys) > 1 && database.IsDamage(err) {
		for _, k := range keys {
			delete(t.objects, k)
		}
		return
	}
	t.look(err)
}

// put changes what is known of an object.
func (t *tx) put(o *object, now snapshot.Object) {
	if !o.changed {
		o.changed = true
		t.altered = append(t.altered, &o.Object)
	}
	t.dirty = true
	t.looks = t.looks || (now.Look > 0 && o.Look == 0)
	o.Object.Object, o.known = now, true
	if t.log != nil {
		t.saw(o.Values(nil)...)
	}
}

// Content finds the event of RuleContent that has r's key. An event about an object is
// found by the index of objects.
func (t *tx) Content(r *event.Record) (seq int64, ok bool) {
	const rule = " AND rule = 1 AND key = ? LIMIT 1"
	key := r.Dedupe.Key
	seq, ok = t.content[key]
	if !ok && r.ObjectID == "" {
		return t.find("SELECT seq FROM events WHERE object_id IS NULL"+rule, key[:])
	}
	if !ok {
		name, err := t.write.Find(tables.EventName, r.Event)
		if t.look(err); name > 0 {
			return t.find("SELECT seq FROM events INDEXED BY events_object WHERE object_id = ? AND event = ?"+rule, tables.PackID(r.ObjectID), name, key[:])
		}
	}
	if t.log != nil {
		t.saw(seq, ok)
	}
	return seq, ok
}

// Firing finds a firing that was recovered before.
func (t *tx) Firing(hookID, id string) (seq int64, ok bool) {
	return t.find("SELECT seq FROM firings WHERE hook_id = ? AND firing = ?", hookID, id)
}

// Tried finds the event of an earlier try by the same proxy.
func (t *tx) Tried(key event.Key, requestID string) (seq int64, ok bool) {
	return t.find("SELECT seq FROM tries WHERE key = ? AND request_id = ?", key[:], requestID)
}

// find reads a number from the first row of a query.
func (t *tx) find(sql string, args ...any) (n int64, ok bool) {
	ok, err := t.c.Ints(ctx0, sql, args, &n)
	t.look(err)
	if t.log != nil {
		t.saw(n, ok)
	}
	return n, ok
}

// row reads one event, of this transaction or of an earlier one.
func (t *tx) row(seq int64) (r row, ok bool) {
	if i := seq - t.next; i >= 0 {
		if ok = i < int64(len(t.rows)); ok {
			r = t.rows[i]
		}
		return r, ok
	}
	r, ok, err := tables.Read(ctx0, t.c, t.j.damage, "events", seq)
	t.look(err)
	return r, ok && err == nil
}

// append gives an event its number and keeps it for flush.
func (t *tx) append(r *event.Record, id ulid.ULID) event.Appended {
	rw := row{Record: *r, ULID: t.inOrder(id), Number: t.at.Number, Clock: t.at.Clock}
	rw.Seq, rw.ID = t.nextSeq(), rw.ULID.String()
	if t.log != nil {
		t.saw(rw.Seq, rw.ULID[:], rw.Event, rw.AccountID, rw.ObjectID, string(rw.Action), rw.Dedupe.Key[:])
	}
	if r.Dedupe.Rule == event.RuleContent {
		t.content[r.Dedupe.Key] = rw.Seq
	}
	t.rows, t.elsewhere = append(t.rows, rw), append(t.elsewhere, !t.givenHere())
	t.dirty = true
	return event.Appended{Seq: rw.Seq, ID: rw.ID}
}

// nextSeq is the number of the next event.
func (t *tx) nextSeq() int64 { return t.next + int64(len(t.rows)) }

// flush writes everything.
func (t *tx) flush() error {
	if err := t.write.Events(t.rows); err != nil {
		return err
	}
	err := t.write.Objects(t.altered)
	if t.log != nil && err == nil {
		return t.log.flush(t.c)
	}
	if n := len(t.rows); err != nil || n > 0 && t.rows[n-1].Number == t.at.Number && t.rows[n-1].ULID.Time() == uint64(t.at.Wall.UnixMilli()) {
		return err // the newest event holds the last command's number and times
	}
	return t.c.Exec("UPDATE journal SET number = ?, clock = ?, wall = ?", t.at.Number, int64(t.at.Clock), tables.Nanos(t.at.Wall))
}
