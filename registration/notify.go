package registration

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"kazoohook/internal/event"
)

// Notify appends an event of the receiver's own. It must recognise the same
// happening when it is reported again, also after a restart. It logs its own
// errors.
type Notify func(ctx context.Context, o event.Own)

// foundOff reports that a pass found a hook of ours switched off. It reports each
// switch-off once, identified by the revision of the hook's document, or else by
// the time until which the hook is proven to have fired.
func (r *Reconciler) foundOff(ctx context.Context, c Change) {
	if r.opts.Notify == nil || c.Before.Enabled {
		return
	}
	since := fmt.Sprint("saved ", c.Before.Saves())
	if c.Before.Saves() == 0 && r.opts.Watch != nil {
		since = stamp(r.opts.Watch.Known(c.Hook.Name).Proven)
	}
	happening := c.Hook.ID + " " + since
	if r.reported[c.Hook.ID] == happening {
		return
	}
	off := &event.HookSwitchedOff{
		Hook: &c.Hook.Hook, HookName: &c.Hook.Name, HookID: &c.Hook.ID,
		DisableReason: optional(c.Before.DisableReason), LastFailure: optional(r.whyOff(ctx, c)),
	}
	if l := r.history[c.Hook.Name]; l != nil {
		off.LastSeenEnabled = optional(stamp(l.lastGood))
	}
	r.opts.Notify(ctx, event.Own{Payload: off, Account: r.account.ID, Happening: happening})
	r.reported[c.Hook.ID] = happening
}

// reportOutage reports an outage that has ended. After a crash it may be found again
// with a later end.
func (e *Engine) reportOutage(ctx context.Context, o Outage) {
	if e.opts.Notify == nil {
		return
	}
	out := &event.Outage{From: optional(stamp(o.From)), To: optional(stamp(o.To)), Hooks: o.Hooks, Reasons: o.Reasons}
	if !o.From.IsZero() {
		out.Seconds = new(event.Integer(o.To.Sub(o.From).Round(time.Second) / time.Second))
	}
	e.opts.Notify(ctx, event.Own{
		Payload: out, Account: e.Reconciler.Status().AccountID,
		Happening: cmp.Or(stamp(o.From), "until "+stamp(o.To)) + " " + strings.Join(o.Hooks, ","),
	})
}

// holdsBack stores since when deletions are held back, and reports it once.
func (p *pass) holdsBack(ctx context.Context) error {
	since, err := p.store.State(ctx, heldKey)
	if err == nil && since == "" {
		since = p.opts.Now().UTC().Format(time.RFC3339Nano)
		err = p.store.SetState(ctx, heldKey, since)
	}
	if err == nil && p.opts.Notify != nil && p.heldType != "" {
		typ := p.heldType
		p.opts.Notify(ctx, event.Own{Account: p.root, Happening: since, Payload: &event.ConfirmationNeeded{
			ObjectType: &typ, Missing: new(event.Integer(p.heldMissing)), Known: new(event.Integer(p.known[typ])), Limit: new(event.Integer(p.limit(typ))),
		}})
	}
	return err
}

// stamp formats a time for our own events, "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// optional returns nil for an empty text.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
