package oldformat

import (
	"context"
	"database/sql"
	"encoding/binary"
	"strings"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/snapshot"
)

// life is what was known of the creation and deletion of an object.
type life struct {
	deletedLast, revived                     bool
	created, createdSeq, deleted, deletedSeq int64
	typ, id, account                         string
}

// add copies it to an object.
func (l *life) add(o *snapshot.Object) {
	o.Created, o.CreatedSeq = snapshot.Clock(l.created), l.createdSeq
	o.Deleted, o.DeletedSeq = max(o.Deleted, snapshot.Clock(l.deleted)), l.deletedSeq
	switch {
	case l.revived, !l.deletedLast:
		o.State, o.DeletedAt = snapshot.Alive, time.Time{}
		o.Seen = max(o.Seen, o.Created)
	default:
		o.State = snapshot.Deleted
		if o.DeletedAt.IsZero() {
			o.DeletedAt = moment(l.deleted)
		}
	}
}

// lives reads the table lifecycle into memory, and applies the events it doesn't know.
func (i *importer) lives(ctx context.Context) (map[event.Key]*life, error) {
	lives := map[event.Key]*life{}
	err := each(ctx, i.db, `SELECT l.key, l.state, l.created, l.created_seq, l.deleted, l.deleted_seq, l.revived, e.object_type, e.object_id, e.account
		FROM lifecycle l LEFT JOIN events e ON e.seq = l.seq`, func(scan func(...any) error) error {
		var key []byte
		var state, revived int64
		var typ, id, account sql.NullString
		l := &life{}
		if err := scan(&key, &state, &l.created, &l.createdSeq, &l.deleted, &l.deletedSeq, &revived, &typ, &id, &account); err != nil {
			return err
		}
		const deleted = 2
		l.deletedLast, l.revived = state == deleted, revived != 0
		l.typ, l.id, l.account = typ.String, id.String, account.String
		var k event.Key
		copy(k[:], key)
		lives[k] = l
		return nil
	})
	if err != nil {
		return nil, err
	}
	var indexed sql.NullInt64
	if err := i.db.QueryRowContext(ctx, "SELECT max(value) FROM meta WHERE key = 'indexed'").Scan(&indexed); err != nil {
		return nil, err
	}
	err = i.visit(ctx, "WHERE seq > ? AND rule = ? ORDER BY seq", func(r event.Record) bool {
		key := oldKey(r.ObjectType, r.ObjectID)
		l := lives[key]
		if l == nil {
			l = &life{}
			lives[key] = l
		}
		l.typ, l.id, l.account = r.ObjectType, r.ObjectID, r.AccountID
		at := r.ReceivedAt.UnixNano()
		switch r.Action {
		case event.Created:
			l.created, l.createdSeq, l.deletedLast = at, r.Seq, l.deletedLast && at <= l.deleted
		case event.Deleted:
			l.deleted, l.deletedSeq, l.deletedLast, l.revived = at, r.Seq, true, false
		}
		return true
	}, indexed.Int64, int64(event.RuleLifecycle))
	return lives, err
}

// unanswered copies the requests whose outcome wasn't known. The newest event lists
// them, or a row of the table meta that was written after that event.
func (i *importer) unanswered(ctx context.Context) error {
	var list []byte
	var at sql.NullInt64
	err := i.db.QueryRowContext(ctx, "SELECT max(value), max(data) FROM meta WHERE key = 'unacked'").Scan(&at, &list)
	if err != nil {
		return err
	}
	if at.Int64 != i.last {
		list = nil
		if err := i.db.QueryRowContext(ctx, "SELECT max(unacked) FROM events WHERE seq = ?", i.last).Scan(&list); err != nil {
			return err
		}
	}
	seqs, from := parse(list)
	where, args := "WHERE seq >= ?", []any{from}
	if from == 0 {
		if len(seqs) == 0 {
			return nil
		}
		where, args = "WHERE seq IN ("+strings.TrimSuffix(strings.Repeat("?,", len(seqs)), ",")+")", seqs
	}
	var failed error
	err = i.visit(ctx, where, func(r event.Record) bool {
		if r.Source == event.SourceWebhook && r.Dedupe.Rule == event.RuleUnacknowledged {
			failed = i.copy.Exec("INSERT OR REPLACE INTO unanswered (key, seq, number, command, at, failed) VALUES (?,?,?,0,?,0)",
				r.Dedupe.Key[:], r.Seq, r.Seq, r.ReceivedAt.UnixNano())
		}
		return failed == nil
	}, args...)
	if err == nil {
		err = failed
	}
	return err
}

// parse reads a list of numbers, a varint each. If they were too many, the list is 0
// and the smallest number.
func parse(b []byte) (seqs []any, from int64) {
	for len(b) > 0 {
		v, n := binary.Varint(b)
		if n <= 0 {
			break
		}
		b = b[n:]
		if v == 0 {
			from, _ = binary.Varint(b)
			return nil, from
		}
		seqs = append(seqs, v)
	}
	return seqs, 0
}
