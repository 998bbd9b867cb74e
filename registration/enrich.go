package registration

import (
	"context"

	"kazoohook/internal/event"
	"kazoohook/internal/snapshot"
)

// Objects is the part of the snapshot that Enrich needs.
type Objects interface {
	Object(ctx context.Context, typ, account, id string) (snapshot.Object, bool, error)
}

// Enrich returns a function that adds the current name and identifying fields from
// the snapshot to an object event, if none were known when the event was applied
// (event.Record.Known): a new object is looked up only after its creation was
// stored. The result is for display; deliveries don't change. It may be called from
// any goroutine.
func Enrich(store Objects) func(context.Context, *event.Event) {
	return func(ctx context.Context, e *event.Event) {
		if snapshot.Kind(e.ObjectType) == "" || e.Action == "" || e.ObjectName != "" {
			return
		}
		o, ok, err := store.Object(ctx, e.ObjectType, e.AccountID, e.ObjectID)
		if err != nil || !ok {
			return // the event is shown without a name
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
}
