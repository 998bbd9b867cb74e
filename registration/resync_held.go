package registration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/snapshot"
)

// Held are the deletions that a run held back because there were too many. They are
// known until a run holds nothing back. After a restart the next run finds them
// again.
type Held struct {
	ID      string    // identifies exactly these objects; empty if there are none
	Since   time.Time // end of the run
	Limit   int       // how many of a type are reported without confirmation
	Objects []snapshot.Object
}

// ErrHeldChanged reports that the deletions held back now differ from the confirmed
// ones.
var ErrHeldChanged = errors.New("the deletions that are held back have changed: look at them again, then confirm")

func newHeld(r Report, now time.Time) Held {
	h := Held{Since: now, Limit: r.Limit, Objects: r.Deleted}
	sum := sha256.New()
	for i := range h.Objects {
		key := h.Objects[i].Key()
		sum.Write(key[:])
	}
	h.ID = hex.EncodeToString(sum.Sum(nil)[:8])
	return h
}

// Held returns the deletions that the last run held back. The caller must not
// change the objects.
func (r *Resyncer) Held() Held {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held
}

// heldBack reports whether deletions wait for confirmation, also those that another
// leader of a cluster has found.
func (r *Resyncer) heldBack(ctx context.Context) bool {
	since, err := r.store.State(ctx, heldKey)
	return since != "" || err != nil
}

// vouchedFor returns the objects that are held back under an ID.
func (r *Resyncer) vouchedFor(id string) (map[event.Key]struct{}, error) {
	held := r.Held()
	if held.ID != id {
		return nil, ErrHeldChanged
	}
	vouched := make(map[event.Key]struct{}, len(held.Objects))
	for i := range held.Objects {
		vouched[held.Objects[i].Key()] = struct{}{}
	}
	return vouched, nil
}

// weight returns what the deletion of an object counts towards the limit: 0 if that
// object's deletion was confirmed.
func (p *pass) weight(o *snapshot.Object) int {
	if _, ok := p.vouched[o.Key()]; ok {
		return 0
	}
	return 1
}

// weigh returns the sum of the deletions' weights.
func (p *pass) weigh(list []loss) (n int) {
	for i := range list {
		n += p.weight(&list[i].Object)
	}
	return n
}

// limit returns the most deletions of a type that one run reports without
// confirmation.
func (p *pass) limit(typ string) int {
	if p.opts.MaxDeletions > 0 {
		return p.opts.MaxDeletions
	}
	return max(minDeletions, p.known[typ]/10)
}

// room returns how many more deletions of a type this run may report without
// confirmation.
func (p *pass) room(typ string) int {
	switch {
	case p.req.Confirm && p.vouched == nil || !p.watches(typ, event.Deleted):
		return math.MaxInt
	case p.report.Held:
		return -1
	}
	return p.limit(typ) - p.counted[typ]
}

// guard decides whether n deletions of a type need confirmation. If so, they and
// all later ones of this run are held back.
func (p *pass) guard(typ string, n int) {
	if n == 0 {
		return
	}
	if !p.report.Held {
		p.report.Limit = max(p.report.Limit, p.limit(typ))
	}
	if n <= p.room(typ) {
		p.counted[typ] += n
		return
	}
	if p.report.Held {
		return
	}
	p.hold(typ, p.counted[typ]+n)
}

// hold holds back all deletions that follow.
func (p *pass) hold(typ string, missing int) {
	p.report.Held, p.report.Limit, p.report.Deleted = true, p.limit(typ), nil
	p.heldType, p.heldMissing = typ, missing
	p.opts.Log.Error().Str("object_type", typ).Int("missing", missing).Int("known", p.known[typ]).Int("limit", p.limit(typ)).
		Msg("too many objects are missing in Kazoo to report their deletions without confirmation; none of these is reported: look at kazoohook resync --dry-run, then run kazoohook resync --confirm")
}

// decide is for a pass after one that held deletions back: those must not be
// reported a few in each pass. Nothing is reported before everything is listed. If
// there are still too many, they keep waiting.
func (p *pass) decide(ctx context.Context) error {
	missing := map[string]int{}
	for _, f := range p.later {
		missing[f.typ] += len(f.missing)
	}
	p.wasHeld = false
	for _, typ := range p.watched() {
		if n := missing[typ]; n > p.room(typ) || n > 0 && p.partial() {
			p.hold(typ, n)
			break
		}
	}
	for _, f := range p.later {
		if err := p.settle(ctx, f); err != nil {
			return err
		}
	}
	if p.req.DryRun || p.report.Held || p.partial() {
		return nil
	}
	return p.store.SetState(ctx, heldKey, "")
}

// reportAll reports deletions, or records that they are held back.
func (p *pass) reportAll(ctx context.Context, list []loss) error {
	for _, l := range list {
		if err := p.deleted(ctx, l); err != nil {
			return err
		}
	}
	return nil
}
