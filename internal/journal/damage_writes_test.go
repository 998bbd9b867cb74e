package journal

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/tables"
	"kazoohook/internal/snapshot"
)

// damaging returns a fault for failing, and what sets which statements meet damage: those
// that contain a text; "": none.
func damaging() (fault func(sql string) error, set func(text string)) {
	var text atomic.Pointer[string]
	return func(sql string) error {
		if s := text.Load(); s != nil && *s != "" && strings.Contains(sql, *s) {
			return database.Damaged("odd")
		}
		return nil
	}, func(s string) { text.Store(&s) }
}

// Damage that keeps something from being stored is an error for the caller: nothing that
// follows from it is stored, either.
func TestDamageDuringWrites(t *testing.T) {
	t.Parallel()
	c := newClock()
	fault, damage := damaging()
	j := openTest(t, Options{Dir: memoryDir(t), Now: c.now, open: failing(fault), Retention: time.Hour, BacklogBytes: 1 << 30, BacklogAge: 1000 * time.Hour})
	ctx := ctxOf(t)
	fill(t, j, 10, content)
	must(t, j.Configure(ctx, []NewDestination{{Name: "d"}}, nil, nil))
	must(t, j.SetState(ctx, "k", "v"))
	must(t, j.MoveCursor(ctx, "log", 0, 10))

	damage("INTO deliveries")
	if err := j.Judge(ctx, "d", state(t, j, "d").Cursor, 10, rowsOf(t, j, 3)); err == nil {
		t.Error("a delivery was lost silently")
	}
	damage("")
	judge(t, j, "d", 10, 3)

	c.add(48 * time.Hour)
	fill(t, j, 1, func(i int64) event.Record { return content(100 + i) })
	before := get(t, j, 3)
	damage("INSERT INTO backlog")
	maintain(t, j)
	if got := get(t, j, 3); !bytes.Equal(got.Body, before.Body) {
		t.Errorf("retention lost what a destination waits for: %+v", got)
	}
	damage("")
	maintain(t, j)
	if b, err := j.Backlog(ctx); err != nil || b.Events != 2 { // 3, and 11 after the cursor
		t.Errorf("%+v, %v", b, err)
	}

	damage("state (key")
	if err := j.SetState(ctx, "k", "w"); err == nil {
		t.Error("a state was lost silently")
	}
	damage("consumers")
	if err := j.MoveCursor(ctx, "log", 10, 11); err == nil {
		t.Error("a cursor was lost silently")
	}
	damage("")
	if v, err := j.State(ctx, "k"); err != nil || v != "v" {
		t.Errorf("%q, %v", v, err)
	}
	if j.Damage().LeftOut == 0 || j.Damage().Refused > 0 {
		t.Errorf("%+v", j.Damage())
	}
}

// Damage of what only recognises duplicates costs no event.
func TestDamagedDuplicates(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"unanswered", "tries", "firings"} {
		c := newClock()
		fault, damage := damaging()
		j := openTest(t, Options{Dir: memoryDir(t), Now: c.now, open: failing(fault)})
		damage(table)
		proxied := sample(1, event.Edited)
		proxied.RequestID = "p1"
		for i, r := range []event.Record{proxied, recovered(c, "f1", event.Edited), content(3)} {
			if a, err := j.Append(t.Context(), r); err != nil || a.Seq != int64(i+1) {
				t.Errorf("%s is damaged: request %d: %+v, %v", table, i, a, err)
			}
		}
	}
}

// A node of a cluster that meets damage applies nothing until it can, since the other
// nodes know what it can't read.
func TestDamageOnANode(t *testing.T) {
	t.Parallel()
	for _, statement := range []string{"FROM tries", "FROM unanswered", "FROM objects", "INTO tries", "INTO unanswered", "DELETE FROM unanswered"} {
		t.Run(statement, func(t *testing.T) {
			t.Parallel()
			fault, damage := damaging()
			c := newCluster(t, 3, func(i int, o *Options) {
				if i == 1 {
					o.open = failing(fault)
				}
			})
			r := sample(1, event.Edited)
			r.RequestID = "p1"
			a := mustAppend(t, c.nodes[0].Journal, r)
			c.settle()
			damage(statement)
			c.nodes[0].Acknowledged(r, a, true)
			again := mustAppend(t, c.nodes[0].Journal, r)
			mustAppend(t, c.nodes[0].Journal, sample(3, event.Edited))
			waitFor(t, "the node says what is wrong", func() bool { return c.nodes[1].Health() != nil })
			if !again.Duplicate {
				t.Errorf("the proxy's other try: %+v", again)
			}
			damage("")
			c.alike()
		})
	}
}

// Damage within one object costs no other object that is read with it.
func TestDamagedObjectInABatch(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	j := openTest(t, Options{Dir: dir})
	p := snapshot.Page{Type: "user", Account: "a", Pass: 1, Baseline: true}
	for i := range int64(16) {
		p.Objects = append(p.Objects, snapshot.Listed{ID: sample(i, event.Deleted).ObjectID, Name: "Ann Lee"})
	}
	_, err := j.Listed(t.Context(), p)
	must(t, errors.Join(err, j.Close()))
	raw, err := database.Open(j.path, "")
	must(t, err)
	must(t, errors.Join(raw.Exec("UPDATE objects SET fields = '{' WHERE id = ?", sample(8, event.Deleted).ObjectID), raw.Close()))
	j = openTest(t, Options{Dir: dir})
	var list []*work
	_, _ = j.do(t.Context(), &probe{run: func() { // the writer takes them all at once
		for i := range int64(16) {
			k := &work{cmd: &request{Rec: tables.Normal(sample(i, event.Deleted)), Command: j.commands.Add(1)}, done: make(chan struct{}, 1)}
			must(t, j.queue.push(k))
			list = append(list, k)
		}
	}})
	for i, k := range list {
		<-k.done
		if got := get(t, j, k.appended.Seq); k.err != nil || (got.Known.Name != "Ann Lee") != (i == 8) {
			t.Errorf("object %d: %+v, %v, known as %q", i, k.appended, k.err, got.Known.Name)
		}
	}
}
