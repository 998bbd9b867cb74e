package snapshot

import (
	"time"

	"kazoohook/internal/event"
)

// Happened applies a creation, an edit or a deletion that is no duplicate. seq is 0
// for a hidden event. It reports false if it changed nothing: an event whose signature
// is wrong says nothing about the object.
func (o *Object) Happened(r *event.Record, seq int64, at At) (changed bool) {
	if r.Signature == event.SignedWrong {
		return false
	}
	if o.State == Unknown {
		o.Type, o.ID, o.AccountID = r.ObjectType, r.ObjectID, r.AccountID
		if o.Type == TypeAccount {
			o.AccountID = o.ID
		}
	}
	o.Touched = at.Number
	t := at.Of(r)
	switch r.Action {
	case event.Created:
		if t >= o.Created {
			o.Created, o.CreatedSeq = t, seq
		}
		o.shown(r, t, at)
	case event.Edited:
		o.shown(r, t, at)
	case event.Deleted:
		o.deleted(r, seq, t, at)
	}
	return true
}

// shown records that an event shows the object alive.
func (o *Object) shown(r *event.Record, t Clock, at At) {
	past := r.Source == event.SourceRecovered
	if o.State != Deleted {
		o.State = Alive
		o.seen(t, r.ReceivedAt)
		if r.Source == event.SourceWebhook { // a listing follows what was recovered
			o.ask(at)
		}
		return
	}
	if past && t <= o.Deleted {
		// It happened before the deletion, unless the clocks of Kazoo's nodes
		// differ. Only an edit can show a restored object.
		if r.Action == event.Edited && t > o.Deleted.Add(-NodeClocks) {
			o.ask(at)
		}
		return
	}
	if o.Shown == 0 {
		o.Shown = t
	}
	o.ask(at)
}

func (o *Object) deleted(r *event.Record, seq int64, t Clock, at At) {
	past := r.Source == event.SourceRecovered
	if past && t < o.Deleted {
		return // an earlier deletion of an object that lived again
	}
	o.State, o.Deleted, o.DeletedSeq, o.DeletedAt = Deleted, t, seq, r.ReceivedAt.UTC()
	o.Shown, o.Look = 0, 0
	if past && t.Add(Reorder) < o.Seen {
		// The object has existed again since, or the time is wrong: only Kazoo
		// knows.
		o.Shown = min(o.Seen, t.Add(NodeClocks))
		o.ask(at)
	}
	if o.Type == TypeAccount {
		o.ask(at)
	}
}

// Doubted applies a deletion that Doubts reported and that was judged to be the
// known one. The answer to an earlier look-up says nothing about it.
func (o *Object) Doubted(at At) {
	o.Touched = at.Number
	o.ask(at)
}

// ask requests a look-up of the object, if Crossbar lists its type.
func (o *Object) ask(at At) {
	if o.Look == 0 && Kind(o.Type) != "" {
		o.Look = at.Number
	}
}

// seen records that the object was alive.
func (o *Object) seen(t Clock, wall time.Time) {
	if o.Shown == 0 {
		o.Shown = t
	}
	o.Seen = max(o.Seen, t)
	o.lives(wall)
}

func (o *Object) lives(wall time.Time) {
	wall = wall.UTC()
	if o.FirstSeen.IsZero() {
		o.FirstSeen = wall
	}
	if wall.After(o.LastSeen) {
		o.LastSeen = wall
	}
}

// Outcome is the effect of an answer from Kazoo's API.
type Outcome uint8

// The outcomes. After any but Ignored, the object must be written.
const (
	Ignored  Outcome = iota // it is older than what is known, or says nothing new
	Noted                   // the object changed
	Appeared                // it was unknown or deleted, and is alive: a creation, if creations are reported
	Doubtful                // a listing shows it, but its deletion is known: only a look-up can decide
)

// Look is the answer of a look-up.
type Look struct {
	Type    string            `cbor:"1,keyasint,omitzero"`
	Account string            `cbor:"2,keyasint,omitzero"`
	ID      string            `cbor:"3,keyasint,omitzero"`
	AsOf    int64             `cbor:"4,keyasint,omitzero"` // number of the last command applied when the request was sent
	Found   bool              `cbor:"5,keyasint,omitzero"` // false: Kazoo answered 404
	Name    string            `cbor:"6,keyasint,omitzero"`
	Fields  map[string]string `cbor:"7,keyasint,omitzero"`
	Report  bool              `cbor:"8,keyasint,omitzero"` // creations are reported: the object was found by a listing
}

// Looked applies the answer of a look-up. The answer is ignored if a later command
// touched the object. An object that is found is alive; one that isn't found stays
// as it was.
func (o *Object) Looked(l *Look, at At) Outcome {
	if o.Touched > l.AsOf || !l.Found && o.State == Unknown {
		return Ignored
	}
	o.Look = 0
	if !l.Found {
		if o.State == Deleted {
			o.Shown = 0
		}
		return Noted
	}
	before := o.State
	if before == Unknown {
		o.Type, o.ID, o.AccountID = l.Type, l.ID, l.Account
	}
	o.State = Alive
	o.describe(l.Name, l.Fields)
	o.seen(at.Clock, at.Wall)
	if before == Alive {
		return Noted
	}
	o.Touched = at.Number
	return Appeared
}

// Page is a part of a listing.
type Page struct {
	Type     string   `cbor:"1,keyasint,omitzero"`
	Account  string   `cbor:"2,keyasint,omitzero"` // Account is "" for a listing of accounts
	Pass     int64    `cbor:"3,keyasint,omitzero"` // number of the comparison that the listing belongs to
	AsOf     int64    `cbor:"4,keyasint,omitzero"` // number of the last command applied when the listing began
	Baseline bool     `cbor:"5,keyasint,omitzero"` // a first listing, see BaselineKey: nothing in it is new
	Report   bool     `cbor:"6,keyasint,omitzero"` // creations are reported
	Objects  []Listed `cbor:"7,keyasint,omitzero"`
}

// BaselineKey begins the keys of the states that say when the first complete listing of a
// type and an account ended.
const BaselineKey = "resync.baseline."

// BaselineAgain is the value of such a state if some of the objects were lost since then:
// the next listing is a baseline again.
const BaselineAgain = "again"

// Listed is one object of a listing.
type Listed struct {
	ID     string            `cbor:"1,keyasint,omitzero"`
	Name   string            `cbor:"2,keyasint,omitzero"`
	Fields map[string]string `cbor:"3,keyasint,omitzero"`
}

// Listed applies one object of a listing. It makes an unknown object known, but never
// makes a deleted one alive. If a later command touched the object, only the fact
// that it was listed counts.
func (o *Object) Listed(p *Page, l *Listed, at At) Outcome {
	late := o.Touched > p.AsOf
	if o.State == Deleted {
		if late {
			return Ignored
		}
		return Doubtful
	}
	o.Pass = max(o.Pass, p.Pass)
	o.lives(at.Wall)
	if o.State == Alive {
		if !late {
			o.describe(l.Name, l.Fields)
			if !o.Returned() { // else the listing may be older than another deletion
				o.Look = 0
			}
		}
		return Noted
	}
	o.Type, o.ID, o.AccountID = p.Type, l.ID, p.Account
	if o.Type == TypeAccount {
		o.AccountID = l.ID
	}
	o.State, o.Touched = Alive, at.Number
	o.describe(l.Name, l.Fields)
	if p.Baseline {
		return Noted
	}
	o.Created = at.Clock
	return Appeared
}

func (o *Object) describe(name string, fields map[string]string) {
	o.Name, o.Fields = name, fields
}

// Missing is an object that Kazoo itself says is deleted: a complete listing
// lacks it and Kazoo answers 404 for it, or for its account.
type Missing struct {
	Type    string `cbor:"1,keyasint,omitzero"`
	Account string `cbor:"2,keyasint,omitzero"`
	ID      string `cbor:"3,keyasint,omitzero"`
	AsOf    int64  `cbor:"4,keyasint,omitzero"` // number of the last command applied when the listing began
	Report  bool   `cbor:"5,keyasint,omitzero"` // deletions are reported; otherwise the deletion is hidden
}

// Misses reports whether the finding still counts: the object is alive, and no
// later command touched it. If so, the caller passes the deletion that Record makes
// to Happened.
func (o *Object) Misses(m *Missing) bool { return o.State == Alive && o.Touched <= m.AsOf }
