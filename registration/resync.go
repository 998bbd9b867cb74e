package registration

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/snapshot"
)

// ObjectAPI is the part of Crossbar that the Resyncer needs. Objects and
// Descendants yield an error if the listing is incomplete; without an error,
// everything was yielded once. Object fails with a not-found error for a deleted
// object.
type ObjectAPI interface {
	Objects(ctx context.Context, account, kind string) iter.Seq2[crossbar.Object, error]
	Object(ctx context.Context, account, kind, id string) (crossbar.Object, error)
	Descendants(ctx context.Context, account string) iter.Seq2[crossbar.Account, error]
}

// SnapshotStore keeps what is known of Kazoo's objects. The snapshot follows the
// journal's events by itself. Answers of Kazoo's API come as Listed, Looked and
// Missing, each with the number of the last command Applied when its request was
// sent. Later commands take precedence over the answer.
type SnapshotStore interface {
	Store
	Applied() int64
	Object(ctx context.Context, typ, account, id string) (snapshot.Object, bool, error)
	Objects(ctx context.Context, typ, account string) iter.Seq2[snapshot.Object, error]
	ObjectsNotSeen(ctx context.Context, typ, account string, pass int64) iter.Seq2[snapshot.Object, error]
	NewestPass(ctx context.Context) (int64, error)
	CountObjects(ctx context.Context, typ, account string) (int, error)
	Holders(ctx context.Context) ([]string, error)
	Listed(ctx context.Context, p snapshot.Page) (journal.Listing, error)
	Looked(ctx context.Context, l snapshot.Look) (journal.Listing, error)
	Missing(ctx context.Context, m snapshot.Missing) (event.Appended, error)
	Looks(ctx context.Context, typ string, after int64, limit int) ([]snapshot.Object, error)
	LookWanted() <-chan struct{}
}

// ResyncOptions configure a Resyncer.
type ResyncOptions struct {
	Specs              []Spec
	IncludeSubaccounts bool
	AccountsInterval   time.Duration // between two comparisons of only the sub-accounts; 0: none
	MaxDeletions       int           // of one type in one run without confirmation; 0: the larger of 20 and a tenth of the snapshot
	Log                zerolog.Logger
	Now                func() time.Time
	Notify             Notify // reports deletions that wait for confirmation; may be nil
}

// Progress is the progress of a run.
type Progress struct {
	Account, Type string
	Listed        int // objects listed so far in this run
	Expected      int // objects in the snapshot; 0 at the first run
}

// Resyncer compares Kazoo's objects with the snapshot and reports changes that no
// webhook reported. Runs never overlap.
type Resyncer struct {
	api   ObjectAPI
	store SnapshotStore
	opts  ResyncOptions

	run    sync.Mutex // held by a run, and for each look-up; guards what follows
	newest *int64     // the highest pass of the objects, as of this process's first run; nil: not read yet

	mu      sync.Mutex // guards the rest
	stats   ResyncStats
	failing map[failure]Failing
	held    Held   // what the last run held back
	owed    bool   // the last run compared only a part
	root    string // the account of the last run
}

// ResyncStats counts what comparisons found since the start.
type ResyncStats struct {
	Runs            int           `json:"runs"`
	Failures        int           `json:"failures"` // runs that failed, in part or whole
	Took            time.Duration `json:"took_ns"`  // by all runs together
	Deleted         int           `json:"deleted"`  // events appended
	Created         int           `json:"created"`
	Unconfirmed     int           `json:"unconfirmed"`      // missing from a listing, but found by a look-up for
	AwaitingConfirm int           `json:"awaiting_confirm"` // deletions held back until a person confirms them
	LastOK          time.Time     `json:"last_ok,omitzero"` // end of the last complete run
	Failing         []Failing     `json:"failing"`          // listings and look-ups that fail now, ordered by account and type
}

// NewResyncer returns a Resyncer; nothing happens before Run or Follow.
func NewResyncer(api ObjectAPI, store SnapshotStore, opts ResyncOptions) *Resyncer {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Resyncer{api: api, store: store, opts: opts, failing: map[failure]Failing{}}
}

// Stats returns what comparisons found since the start.
func (r *Resyncer) Stats() ResyncStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Failing = r.failures()
	return s
}

func (r *Resyncer) count(f func(*ResyncStats)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.stats)
}

// Request is one run.
type Request struct {
	DryRun   bool           // report, but change nothing
	Confirm  bool           // confirms any number of deletions, or with Held those alone
	Held     string         // ID of the held-back deletions that are confirmed
	Progress func(Progress) // called now and then; nil: progress is logged
}

// Report is what a run found.
type Report struct {
	Deleted  []snapshot.Object // reported, or with DryRun or Held still to be reported
	Created  []snapshot.Object
	Baseline bool // some objects were listed for the first time: those yield no events
	Listed   int
	Held     bool // too many deletions at once: those beyond the limit were not reported
	Limit    int  // most deletions of a type that are reported without confirmation
}

// ErrOtherAccount reports that the snapshot belongs to another account than the
// login's: a comparison would report everything deleted.
var ErrOtherAccount = errors.New("the snapshot in the data directory belongs to another Kazoo account")

// ErrPart wraps the error of a run that failed for some accounts or types and
// compared all others. Follow tries the failed ones again.
var ErrPart = errors.New("not everything could be compared")

// Run lists, compares and reports. After an error, nothing was concluded from the
// part that failed. The next run starts from the beginning.
func (r *Resyncer) Run(ctx context.Context, account string, q Request) (Report, error) {
	p := &pass{root: account, req: q}
	if q.Confirm && q.Held != "" {
		var err error
		if p.vouched, err = r.vouchedFor(q.Held); err != nil {
			return Report{}, err
		}
	}
	return r.compare(ctx, p)
}

func (r *Resyncer) compare(ctx context.Context, p *pass) (Report, error) {
	r.run.Lock()
	defer r.run.Unlock()
	started := r.opts.Now()
	p.Resyncer, p.logged = r, started
	err := p.run(ctx)
	now := r.opts.Now()
	whole := len(r.unlisted()) == 0
	r.count(func(s *ResyncStats) {
		r.root = p.root
		before := s.AwaitingConfirm
		if p.report.Held && !p.req.DryRun {
			s.AwaitingConfirm = len(p.report.Deleted)
			if p.partial() {
				s.AwaitingConfirm = max(s.AwaitingConfirm, before)
			}
			if s.AwaitingConfirm == len(p.report.Deleted) {
				r.held = newHeld(p.report, now)
			}
		}
		if p.partial() {
			if r.owed && whole && err == nil { // the rest of the last run
				s.LastOK, r.owed = now, false
			}
			return
		}
		s.Runs++
		s.Took += max(0, now.Sub(started))
		if err != nil {
			s.Failures++
			r.owed = errors.Is(err, ErrPart)
			return
		}
		if !p.req.DryRun {
			s.LastOK, r.owed = now, false
			if !p.report.Held {
				s.AwaitingConfirm, r.held = 0, Held{}
			}
		}
	})
	return p.report, err
}

const accountType = snapshot.TypeAccount

// watched returns the types that Crossbar lists and that have a hook.
func (r *Resyncer) watched() []string {
	return slices.DeleteFunc(snapshot.Types(), func(t string) bool {
		return !r.watches(t, event.Deleted) && !r.watches(t, event.Created)
	})
}

// reportsReturn reports whether it is an event that a deleted object exists again. It is
// a creation, unless an edit that is an event by itself has shown it.
func (r *Resyncer) reportsReturn(o *snapshot.Object) bool {
	return r.watches(o.Type, event.Created) && !(o.Shown != 0 && r.watches(o.Type, event.Edited))
}

func (r *Resyncer) watches(objectType string, a event.Action) bool {
	return watches(r.opts.Specs, objectType, string(a))
}
