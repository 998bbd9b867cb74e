package registration

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"kazoohook/internal/event"
)

// Keys of the snapshot's state.
const (
	ownerKey    = "resync.account"
	passKey     = "resync.pass"
	baselineKey = "resync.baseline." // and type.account
)

// A deletion younger than this may be missing from a listing that was being
// read at the time, and the reverse; nor is the order of events sure.
const reorder = time.Minute

// fresh reports that an object was deleted so shortly before t that what looks
// alive may be an echo. A deletion in t's future is not: a clock was set back.
func fresh(o event.SnapshotObject, t time.Time) bool {
	age := t.Sub(o.GoneAt)
	return -reorder < age && age < reorder
}

// passNumber is the number of the current or last pass over the listings. It
// counts instead of telling the time, because clocks are set back.
func passNumber(ctx context.Context, store Store) (int64, error) {
	saved, err := store.State(ctx, passKey)
	if err != nil || saved == "" {
		return 0, err
	}
	n, err := strconv.ParseInt(saved, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("number of the last pass: %w", err)
	}
	return n, nil
}

// adopt notes a new account: all that it will hold is new, too. Its empty
// beginning is the baseline.
func adopt(ctx context.Context, store Store, account string, at time.Time) error {
	for _, typ := range objectTypes() {
		if err := store.SetState(ctx, baselineKey+typ+"."+account, at.UTC().Format(time.RFC3339)); err != nil {
			return err
		}
	}
	return nil
}

// appendDeleted reports the deletion of an object and marks it gone.
func appendDeleted(ctx context.Context, store SnapshotStore, o event.SnapshotObject, now time.Time) (event.Appended, error) {
	o.GoneAt = now.UTC()
	return appendObserved(ctx, store, o, event.Deleted, now)
}

func appendObserved(ctx context.Context, store SnapshotStore, o event.SnapshotObject, a event.Action, now time.Time) (event.Appended, error) {
	rec, err := record(o, a, now)
	if err != nil {
		return event.Appended{}, err
	}
	got, err := store.AppendObserved(ctx, rec, o)
	if err != nil {
		return got, fmt.Errorf("keep %s of %s %s: %w", a, o.Type, o.ID, err)
	}
	return got, nil
}

// record is the event that an observation amounts to: the body is what Kazoo
// would have sent, and what we know of the object besides.
func record(o event.SnapshotObject, action event.Action, at time.Time) (event.Record, error) {
	body := map[string]any{}
	for k, v := range o.Fields {
		body[k] = v
	}
	body["id"], body["account_id"], body["action"], body["type"] = o.ID, o.AccountID, action, o.Type
	if o.Name != "" {
		body["object_name"] = o.Name
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return event.Record{}, fmt.Errorf("event of %s %s: %w", o.Type, o.ID, err)
	}
	return event.Route(event.Delivery{Source: event.SourceResync, ReceivedAt: at.UTC(), Hook: "object", Method: "POST",
		ContentType: "application/json", Body: raw}), nil
}
