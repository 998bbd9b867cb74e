package registration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
)

// Keeper keeps the snapshot up between resyncs: it is the sink of a consumer
// that follows the journal. A deletion leaves a tombstone, so that the name
// stays known; a creation or edit is looked up, because Kazoo sends only an id;
// a deleted account takes what it held with it, because Kazoo says nothing of
// that.
type Keeper struct {
	api   ObjectAPI
	store SnapshotStore
	specs []Spec
	log   zerolog.Logger
	now   func() time.Time
}

const (
	// lookTimeout bounds a look-up: it is worth having, not worth waiting for.
	lookTimeout = 10 * time.Second
	// lookPatience is the age from which a delivery's object is not looked up any
	// more. The keeper is behind then: where more comes and changes than Kazoo may
	// be asked about it would never catch up, and keep its place in the journal
	// until retention removes what it has not read. The next resync knows the
	// names, too.
	lookPatience = 2 * time.Minute
)

// NewKeeper returns a Keeper for the objects that the specs watch. One that only
// enriches needs no api.
func NewKeeper(api ObjectAPI, store SnapshotStore, specs []Spec, log zerolog.Logger, now func() time.Time) *Keeper {
	return &Keeper{api: api, store: store, specs: specs, log: log, now: now}
}

// Handle applies a batch of events. It is idempotent; an error (the journal
// can't be written, or Kazoo can't be asked about a deleted account just now)
// makes the batch come again and holds up nothing else.
func (k *Keeper) Handle(ctx context.Context, batch []event.Record) error {
	looked := map[objectKey]bool{}
	silent := false // Kazoo did not answer: it isn't asked again for this batch
	for _, r := range batch {
		if kindOf(r.ObjectType) == "" || r.ObjectID == "" || r.Source == event.SourceResync {
			continue
		}
		var err error
		key := objectKey{r.ObjectType, r.ObjectID}
		switch {
		case r.Action == event.Deleted:
			err = k.gone(ctx, r)
			delete(looked, key)
		case r.Action != "" && !looked[key]:
			looked[key] = true
			late := r.Source == event.SourceWebhook && k.now().Sub(r.ReceivedAt) > lookPatience
			silent, err = k.look(ctx, r, silent || late)
		}
		if err != nil {
			return fmt.Errorf("snapshot: event %d: %w", r.Seq, err)
		}
	}
	return nil
}

// look asks Kazoo for an object that an event named. One that is gone again has
// an event of its own. Where Kazoo doesn't answer, a new object is noted without
// its name: its deletion must be noticed even so, and the next resync names it.
func (k *Keeper) look(ctx context.Context, r event.Record, wasSilent bool) (silent bool, err error) {
	old, known, err := k.store.Object(ctx, r.ObjectType, r.ObjectID)
	if err != nil {
		return wasSilent, err
	}
	now := k.now().UTC()
	gone := known && !old.GoneAt.IsZero()
	if gone && fresh(old, now) {
		return wasSilent, nil // perhaps from before the deletion; the resync will see
	}
	number, err := passNumber(ctx, k.store)
	if err != nil {
		return wasSilent, err
	}
	o, silent, err := k.ask(ctx, r, wasSilent)
	switch {
	case ctx.Err() != nil:
		return silent, ctx.Err()
	case crossbar.IsNotFound(err), err != nil && (known || r.Action != event.Created):
		return silent, nil
	case err != nil:
		o = crossbar.Object{ID: r.ObjectID}
	}
	if r.ObjectType == accountType && !known && r.Action == event.Created {
		if err := adopt(ctx, k.store, r.ObjectID, now); err != nil {
			return silent, err
		}
	}
	if gone { // brought back: a later deletion is a new event
		if err := k.store.Revive(ctx, r.ObjectType, r.ObjectID, now); err != nil {
			return silent, err
		}
	}
	return silent, k.store.UpsertObjects(ctx, []event.SnapshotObject{snapshot(o, r.ObjectType, r.AccountID, number, now)})
}

var errSilent = errors.New("no answer from Kazoo a moment ago")

func (k *Keeper) ask(ctx context.Context, r event.Record, wasSilent bool) (o crossbar.Object, silent bool, err error) {
	if wasSilent {
		return o, true, errSilent
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	o, err = k.api.Object(ctx, r.AccountID, kindOf(r.ObjectType), r.ObjectID)
	return o, err != nil && !refused(err), err
}

// gone notes a deletion.
func (k *Keeper) gone(ctx context.Context, r event.Record) error {
	if r.ObjectType == accountType {
		if ok, err := k.accountGone(ctx, r); !ok {
			return err
		}
	}
	return k.store.MarkGone(ctx, r.ObjectType, r.ObjectID, r.ReceivedAt)
}

// accountGone reports the deletion of everything watched that a deleted account
// held. The account must be gone by its own 404: the event alone moves nothing.
// ok says that the account itself may be noted as gone; if not, the resync finds
// it.
func (k *Keeper) accountGone(ctx context.Context, r event.Record) (ok bool, err error) {
	var held []event.SnapshotObject
	for _, typ := range objectTypes() {
		if typ == accountType {
			continue
		}
		if held, err = collect(held, k.store.Objects(ctx, typ, r.ObjectID)); err != nil {
			return false, err
		}
	}
	if len(held) == 0 {
		return true, nil
	}
	_, err = k.api.Object(ctx, r.ObjectID, kindOf(accountType), r.ObjectID)
	switch {
	case crossbar.IsNotFound(err):
	case err == nil || refused(err):
		k.log.Warn().Err(err).Str("deleted_account_id", r.ObjectID).Int64("of_seq", r.Seq).
			Msg("an account was reported deleted but Kazoo doesn't say that it is gone; what it holds is left alone")
		return false, nil
	default:
		return false, err
	}
	for _, o := range held {
		now := k.now()
		if watches(k.specs, o.Type, string(event.Deleted)) {
			_, err = appendDeleted(ctx, k.store, o, now)
		} else {
			err = k.store.MarkGone(ctx, o.Type, o.ID, now.UTC())
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// refused reports that Kazoo said no and would say so again.
func refused(err error) bool {
	var e *crossbar.Error
	return errors.As(err, &e) && e.Status/100 == 4 && e.Status != http.StatusTooManyRequests && e.Status != http.StatusUnauthorized
}

// Enrich adds to an object event the name and the few identifying fields that
// the snapshot holds and Kazoo did not send.
func (k *Keeper) Enrich(ctx context.Context, e *event.Event) {
	if kindOf(e.ObjectType) == "" || e.Action == "" || e.ObjectName != "" {
		return
	}
	o, ok, err := k.store.Object(ctx, e.ObjectType, e.ObjectID)
	if err != nil || !ok {
		return // a name is a courtesy: the event is printed without
	}
	e.ObjectName = o.Name
	for f, v := range o.Fields {
		if _, has := e.Data[f]; !has {
			if e.Data == nil {
				e.Data = map[string]any{}
			}
			e.Data[f] = v
		}
	}
}
