package registration

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
)

// ObjectAPI is what resyncing needs of Crossbar. Objects and Descendants yield
// an error where a listing is not complete; without one, everything was yielded
// once. Object fails with a not-found error for a deleted object.
type ObjectAPI interface {
	Objects(ctx context.Context, account, kind string) iter.Seq2[crossbar.Object, error]
	Object(ctx context.Context, account, kind, id string) (crossbar.Object, error)
	Descendants(ctx context.Context, account string) iter.Seq2[crossbar.Account, error]
}

// SnapshotStore keeps what we last knew of Kazoo's objects. AppendObserved
// appends an event and applies the snapshot's change in one transaction; where
// the event is already held only the snapshot changes.
type SnapshotStore interface {
	Store
	UpsertObjects(ctx context.Context, objects []event.SnapshotObject) error
	Object(ctx context.Context, typ, id string) (event.SnapshotObject, bool, error)
	Objects(ctx context.Context, typ, account string) iter.Seq2[event.SnapshotObject, error]
	CountObjects(ctx context.Context, typ, account string) (int, error)
	ObjectsNotSeen(ctx context.Context, typ, account string, pass int64) iter.Seq2[event.SnapshotObject, error]
	MarkGone(ctx context.Context, typ, id string, at time.Time) error
	AppendObserved(ctx context.Context, r event.Record, o event.SnapshotObject) (event.Appended, error)
	Revive(ctx context.Context, typ, id string, since time.Time) error
}

// ResyncOptions say what is compared and how carefully.
type ResyncOptions struct {
	Specs              []Spec
	IncludeSubaccounts bool
	MaxDeletions       int // that may vanish at once without a person's word; 0: the larger of 20 and a tenth of the snapshot
	Log                zerolog.Logger
	Now                func() time.Time
}

// Progress tells how far a run is.
type Progress struct {
	Account, Type string
	Listed        int // objects listed so far in this run
	Expected      int // as many as the snapshot holds; 0 at the first run
}

// Resyncer compares Kazoo's objects with the snapshot and appends what Kazoo
// did not tell. Runs never overlap.
type Resyncer struct {
	api   ObjectAPI
	store SnapshotStore
	opts  ResyncOptions

	run   sync.Mutex
	mu    sync.Mutex
	stats ResyncStats
}

// ResyncStats count what resyncing did since the start.
type ResyncStats struct {
	Runs            int           `json:"runs"`
	Failures        int           `json:"failures"` // runs that failed
	Took            time.Duration `json:"took_ns"`  // by all runs together
	Deleted         int           `json:"deleted"`  // events appended
	Created         int           `json:"created"`
	Unconfirmed     int           `json:"unconfirmed"`      // missing from a listing, but still there when asked for
	AwaitingConfirm int           `json:"awaiting_confirm"` // deletions held back until a person confirms them
	LastOK          time.Time     `json:"last_ok,omitzero"` // end of the last complete run
}

// NewResyncer returns a Resyncer; nothing happens before Run.
func NewResyncer(api ObjectAPI, store SnapshotStore, opts ResyncOptions) *Resyncer {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Resyncer{api: api, store: store, opts: opts}
}

// Stats returns what resyncing did since the start.
func (r *Resyncer) Stats() ResyncStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

func (r *Resyncer) count(f func(*ResyncStats)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.stats)
}

// Request is one run.
type Request struct {
	DryRun   bool           // report, but change nothing
	Confirm  bool           // a person vouches for any number of deletions
	Progress func(Progress) // called now and then; nil: the log tells instead
}

// Report is what a run found.
type Report struct {
	Deleted  []event.SnapshotObject // reported, or with DryRun or Held to be reported
	Created  []event.SnapshotObject
	Baseline bool // a first listing of something: it yields no events
	Listed   int
	Held     bool // too many deletions at once: none was reported
	Limit    int  // how many would have been taken without a person's word
}

// ErrOtherAccount says that the snapshot belongs to another account than the
// one that is logged in to: comparing them would report everybody deleted.
var ErrOtherAccount = errors.New("the snapshot in the data directory belongs to another Kazoo account")

// Run lists, compares and appends. An error means that nothing was concluded
// from what is missing in the part that failed; the next run starts afresh.
func (r *Resyncer) Run(ctx context.Context, account string, q Request) (Report, error) {
	r.run.Lock()
	defer r.run.Unlock()
	started := r.opts.Now()
	p := &pass{Resyncer: r, root: account, req: q, started: started, told: started}
	err := p.run(ctx)
	now := r.opts.Now()
	r.count(func(s *ResyncStats) {
		s.Runs++
		s.Took += max(0, now.Sub(started))
		if err != nil {
			s.Failures++
			return
		}
		if q.DryRun {
			return
		}
		s.LastOK, s.AwaitingConfirm = now, 0
		if p.report.Held {
			s.AwaitingConfirm = len(p.report.Deleted)
		}
	})
	return p.report, err
}

const accountType = "account"

// kindOf is the name under which Crossbar lists objects of a type, "" if it
// doesn't (kazoo 4.3 applications/crossbar/src/modules/cb_users.erl and its
// like). Accounts are listed as descendants.
func kindOf(objectType string) string {
	switch objectType {
	case "user", "device", "callflow":
		return objectType + "s"
	case "vmbox", "faxbox":
		return objectType + "es"
	case "media":
		return objectType
	case accountType:
		return "accounts"
	}
	return ""
}

// objectTypes are the types that Crossbar lists: accounts first, because their
// deletion explains that of what they held, then users, whom people miss most.
func objectTypes() []string {
	return []string{accountType, "user", "callflow", "device", "faxbox", "media", "vmbox"}
}

// watched are the listed types of which a hook hears.
func (r *Resyncer) watched() []string {
	return slices.DeleteFunc(objectTypes(), func(t string) bool {
		return !r.watches(t, event.Deleted) && !r.watches(t, event.Created)
	})
}

func (r *Resyncer) watches(objectType string, a event.Action) bool {
	return watches(r.opts.Specs, objectType, string(a))
}

// snapshot is what is kept of an object: enough to tell a person who it was.
func snapshot(o crossbar.Object, typ, account string, pass int64, at time.Time) event.SnapshotObject {
	s := event.SnapshotObject{Type: typ, ID: o.ID, AccountID: account, Fields: map[string]string{}, FirstSeen: at, LastSeen: at, Pass: pass}
	if typ == accountType {
		s.AccountID = o.ID
	}
	for _, k := range []string{"username", "email", "first_name", "last_name", "mailbox", "mac_address", "realm"} {
		if v := o.Fields[k]; v != "" {
			s.Fields[k] = v
		}
	}
	s.Name = strings.TrimSpace(o.Fields["first_name"] + " " + o.Fields["last_name"])
	for _, k := range []string{"name", "username", "numbers"} {
		if s.Name == "" {
			s.Name = o.Fields[k]
		}
	}
	return s
}
