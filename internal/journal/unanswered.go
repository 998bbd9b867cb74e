package journal

import (
	"kazoohook/internal/dedupe"
	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/snapshot"
)

// The table unanswered holds the stored requests whose 200 is not known to have been
// written. A request leaves it when its 200 was written, when a recovered firing was
// matched with it, or when its event is removed.

// unanswered returns the requests of the table that have a key, oldest first.
func (t *tx) unanswered(key event.Key) (list []dedupe.Unanswered) {
	t.look(t.c.Rows(ctx0, "SELECT seq, at, failed, number, node FROM unanswered WHERE key = ? ORDER BY seq", []any{key[:]}, func(v database.Row) error {
		failed := v.Int(2) != 0
		if t.log != nil {
			t.saw(v.Int(0), v.Int(1), v.Int(2), v.Int(3), v.Text(4))
		}
		list = append(list, dedupe.Unanswered{Seq: v.Int(0), At: snapshot.Clock(v.Int(1)), Failed: failed, BeforeCrash: !failed && t.abandoned(v.Int(3))})
		return nil
	}))
	return list
}

// Unanswered returns the requests that r may repeat.
func (t *tx) Unanswered(r *event.Record) []dedupe.Unanswered {
	list := t.unanswered(r.Dedupe.Key)
	for i := range list {
		if r.Source != event.SourceRecovered {
			break
		}
		if held, ok := t.row(list[i].Seq); ok {
			list[i].Received = held.ReceivedAt
		}
	}
	return list
}

// abandoned reports whether the outcome of a request is not worth waiting for: the
// process that took it has ended. In a cluster the outcome comes through the log.
// Without a quorum that may take longer than any pause of Kazoo's, so there an
// unknown outcome says nothing. Two events are better than none.
func (t *tx) abandoned(number int64) bool { return t.log != nil || number < t.boot }

// await notes that a stored request is being answered: a new one, or another try of
// an unanswered one.
func (t *tx) await(key event.Key, seq int64, command uint64) {
	t.spare("INSERT OR REPLACE INTO unanswered (key, seq, number, command, at, failed, node) VALUES (?,?,?,?,?,0,?)",
		key[:], seq, t.at.Number, int64(command), int64(t.at.Clock), t.from.node)
}

// apply notes the outcome of an answer. A failed answer to a proxy says nothing: the
// proxy tries again, and only a written answer counts. If the request was refused and
// not stored, those that it may have repeated wait longer.
func (cmd *outcome) apply(t *tx) (res result, _ error) {
	const fail = "UPDATE unanswered SET at = ?, failed = 1 WHERE key = ? AND "
	key, command := cmd.Key[:], int64(cmd.Command)
	switch {
	case cmd.Written:
		if cmd.RequestID != "" {
			t.spare("DELETE FROM unanswered WHERE key = ?1 AND seq = (SELECT seq FROM tries WHERE key = ?1 AND request_id = ?2)", key, cmd.RequestID)
		}
		t.spare("DELETE FROM unanswered WHERE key = ? AND command = ?", key, command)
	case cmd.RequestID != "":
	case t.change(t.look, fail+"command = ?", int64(t.at.Clock), key, command) > 0:
	default:
		for _, u := range t.unanswered(cmd.Key) {
			if u.Failed && u.Awaits(t.at.Clock) {
				t.spare(fail+"seq = ?", int64(t.at.Clock), key, u.Seq)
			}
		}
	}
	return res, nil
}
