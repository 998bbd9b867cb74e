package oldformat

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/tables"
	"kazoohook/internal/snapshot"
)

const (
	columns = "seq,id,received,source,event,account,object_type,object_id,action,hook,hook_id," +
		"hook_account,method,content_type,remote,firing,rule,key,problem,body"
	pageEvents = 1000
	pageBytes  = 8 << 20
)

// page reads the events after a number.
func (i *importer) page(ctx context.Context, after int64) (recs []event.Record, err error) {
	bytes := 0
	err = i.visit(ctx, "WHERE seq > ? ORDER BY seq LIMIT ?", func(r event.Record) bool {
		recs = append(recs, r)
		bytes += len(r.Body)
		return bytes < pageBytes
	}, after, pageEvents)
	return recs, err
}

// visit calls f for events until it returns false.
func (i *importer) visit(ctx context.Context, where string, f func(event.Record) bool, args ...any) error {
	more := true
	return each(ctx, i.db, "SELECT "+columns+" FROM events "+where, func(scan func(...any) error) error {
		if !more {
			return nil
		}
		r, err := scanEvent(scan)
		if err == nil {
			more = f(r)
		}
		return err
	}, args...)
}

func scanEvent(scan func(...any) error) (r event.Record, err error) {
	var text [13]sql.NullString
	var id, key []byte
	var received, rule int64
	var source, action, firing sql.NullString
	err = scan(&r.Seq, &id, &received, &source, &text[0], &text[1], &text[2], &text[3], &action, &text[4], &text[5],
		&text[6], &text[7], &text[8], &text[9], &firing, &rule, &key, &text[10], &r.Body)
	if err != nil {
		return r, err
	}
	for i, p := range []*string{
		&r.Event, &r.AccountID, &r.ObjectType, &r.ObjectID, &r.Hook, &r.HookID, &r.HookAccountID, &r.Method, &r.ContentType, &r.RemoteAddr, &r.Problem,
	} {
		*p = text[i].String
	}
	r.Source, r.Action, r.ReceivedAt = event.Source(source.String), event.Action(action.String), moment(received)
	r.Dedupe.Rule = event.Rule(rule)
	var u ulid.ULID
	if copy(u[:], id) != len(u) || copy(r.Dedupe.Key[:], key) != len(r.Dedupe.Key) {
		return r, fmt.Errorf("event %d has a malformed id or key", r.Seq)
	}
	r.ID = u.String()
	if firing.String != "" {
		first, rest, _ := strings.Cut(firing.String, " ")
		last, name, _ := strings.Cut(rest, " ")
		a, err1 := strconv.ParseInt(first, 10, 64)
		b, err2 := strconv.ParseInt(last, 10, 64)
		if err1 != nil || err2 != nil {
			return r, fmt.Errorf("event %d has a malformed firing", r.Seq)
		}
		r.Firing = event.Firing{ID: name, First: moment(a), Last: moment(b)}
	}
	// This version recognises later duplicates by its own key.
	if today := event.Route(r.Request); today.Event == r.Event {
		r.Dedupe = today.Dedupe
	}
	return r, nil
}

// oldKey returns the key of an object in the table lifecycle.
func oldKey(typ, id string) event.Key {
	if snapshot.Unique(id) {
		return snapshot.Key(typ, "", id)
	}
	var b []byte
	for _, part := range []string{"lifecycle", typ, id} {
		b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
	}
	sum := sha256.Sum256(b)
	return event.Key(sum[:len(event.Key{})])
}

// moment is a time as stored: Unix nanoseconds, 0 for none.
func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// known copies what is known of objects: the snapshot, what the old table lifecycle
// says of their creation and deletion, and what follows from the events that this
// table didn't know yet.
func (i *importer) known(ctx context.Context) error {
	var batch []*tables.Object
	flush := func() error {
		err := i.copy.Objects(batch)
		i.objects += len(batch)
		batch = batch[:0]
		return err
	}
	add := func(o snapshot.Object, key event.Key) error {
		if batch = append(batch, &tables.Object{Key: key, Object: o}); len(batch) == pageEvents {
			return flush()
		}
		return nil
	}
	lives, err := i.lives(ctx)
	if err != nil {
		return err
	}
	seen := map[event.Key]bool{}
	err = each(ctx, i.db, "SELECT type,id,account,name,fields,first,last,gone,pass FROM objects", func(scan func(...any) error) error {
		var o snapshot.Object
		var fields string
		var first, last, gone int64
		if err := scan(&o.Type, &o.ID, &o.AccountID, &o.Name, &fields, &first, &last, &gone, &o.Pass); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(fields), &o.Fields); err != nil {
			return fmt.Errorf("fields of %s %s: %w", o.Type, o.ID, err)
		}
		if o.Type == snapshot.TypeAccount {
			o.AccountID = o.ID
		}
		o.FirstSeen, o.LastSeen, o.DeletedAt = moment(first), moment(last), moment(gone)
		o.State, o.Seen = snapshot.Alive, snapshot.Clock(last)
		if gone != 0 {
			o.State, o.Deleted = snapshot.Deleted, snapshot.Clock(gone)
		}
		key := o.Key()
		if l, ok := lives[oldKey(o.Type, o.ID)]; ok {
			l.add(&o)
		}
		seen[key] = true
		return add(o, key)
	})
	if err != nil {
		return err
	}
	for key, l := range lives {
		o := snapshot.Object{Type: l.typ, ID: l.id, AccountID: l.account}
		l.add(&o)
		if l.id != "" {
			key = o.Key()
		}
		if !seen[key] {
			if err := add(o, key); err != nil {
				return err
			}
		}
	}
	return flush()
}
