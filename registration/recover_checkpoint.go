package registration

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"kazoohook/internal/crossbar"
)

// checkpoint is the point up to which Kazoo's record of failed attempts was read,
// by Kazoo's clock, which stamps the attempts, and by ours. If one of the clocks is
// changed, the other still gives the point.
type checkpoint struct {
	Kazoo time.Time `json:"kazoo"`
	Ours  time.Time `json:"ours"`
}

const (
	checkpointKey = "recover.checkpoint."
	hooksKey      = "recover.hooks."

	// skew is the largest expected error of the clock of one of Kazoo's nodes,
	// which stamp the attempts.
	skew = time.Hour
	// overlap is read again: an attempt may be stamped earlier than when it was
	// stored, by a slow clock, and a firing whose last try is new began before.
	overlap = skew + skew/2
	// ahead is the time after now that is read too.
	ahead = skew + 2*time.Minute
	// firstLook is the time to read without a checkpoint: the longest window that
	// Kazoo answers.
	firstLook = crossbar.MaxWindow - ahead - overlap
	// jumpLook is the time to read if neither clock is plausible.
	jumpLook = 24 * time.Hour
	// A month must be missing in Kazoo for this long before it counts as archived:
	// databases and views are missing while they are built.
	archiveGrace = 10 * time.Minute
	// longestLook is the longest time to read: Kazoo archives older months.
	longestLook = 366 * 24 * time.Hour
)

// back returns the moment d earlier on both clocks.
func (c checkpoint) back(d time.Duration) checkpoint {
	return checkpoint{Kazoo: c.Kazoo.Add(-d), Ours: c.Ours.Add(-d)}
}

// Begin sets the recovery checkpoint if there is none, and returns, by our clock,
// the time since which the record is followed. It is called before the first hook
// is created. If hooks of ours exist without a checkpoint (a new, moved or restored
// journal), they may have failed at any time. Then everything that Kazoo keeps is
// read, and the time is zero.
//
// It doesn't wait for a run: Kazoo may take minutes to answer for its record, and hooks
// are repaired meanwhile. A run that began without a checkpoint may set an earlier one
// at its end; then some of the record is read again.
func (r *Recoverer) Begin(ctx context.Context, account string, hooks bool) (time.Time, error) {
	last, err := r.lastCheckpoint(ctx, account)
	if err != nil || !last.Ours.IsZero() {
		return last.Ours, err
	}
	now := r.opts.Now()
	offset, _ := r.api.ClockOffset()
	at := checkpoint{Kazoo: now.Add(offset), Ours: now}
	if hooks {
		return time.Time{}, r.move(ctx, account, at.back(firstLook))
	}
	return now, r.move(ctx, account, at)
}

func (r *Recoverer) lastCheckpoint(ctx context.Context, account string) (c checkpoint, err error) {
	saved, err := r.store.State(ctx, checkpointKey+account)
	if err != nil {
		return c, fmt.Errorf("read the checkpoint: %w", err)
	}
	if saved == "" {
		return c, nil
	}
	if err := json.Unmarshal([]byte(saved), &c); err != nil || c.Kazoo.IsZero() || c.Ours.IsZero() {
		// Only this program writes it. Reading everything again loses nothing.
		r.opts.Log.Error().Str("checkpoint", saved).Msg("the recovery checkpoint is unreadable: Kazoo's whole record of failed attempts is read again")
		return checkpoint{Kazoo: time.Unix(0, 0), Ours: time.Unix(0, 0)}, nil
	}
	return c, nil
}

// move makes a checkpoint durable.
func (r *Recoverer) move(ctx context.Context, account string, c checkpoint) error {
	c.Kazoo, c.Ours = c.Kazoo.UTC(), c.Ours.UTC()
	raw, err := json.Marshal(c)
	if err == nil {
		err = r.store.SetState(ctx, checkpointKey+account, string(raw))
	}
	if err != nil {
		return fmt.Errorf("save the checkpoint: %w", err)
	}
	r.count(func(s *RecoverStats) { s.CheckedTo = c.Ours })
	return nil
}

// start returns the start of the reading, by Kazoo's clock: the earlier of the two
// clocks' points, never after now.
func (r *Recoverer) start(last, now checkpoint) time.Time {
	offset := now.Kazoo.Sub(now.Ours)
	from := minTime(minTime(last.Kazoo, last.Ours.Add(offset)), now.Kazoo).Add(-overlap)
	if last.Kazoo.After(now.Kazoo.Add(ahead)) && last.Ours.After(now.Ours.Add(ahead)) {
		from = now.Kazoo.Add(-jumpLook) // both were set back: the time that has passed is unknown
	}
	if earliest := now.Kazoo.Add(-longestLook); from.Before(earliest) {
		r.opts.Log.Warn().Time("from", from.UTC()).Time("to", earliest.UTC()).
			Msg("the record of failed attempts was last read very long ago: this span is skipped")
		return earliest
	}
	return from
}

// ourHooks returns the ids of the hooks that are or were ours, so that attempts of
// a deleted or moved hook are recognised. all says that no existing hook is
// missing.
func (r *Recoverer) ourHooks(ctx context.Context, account string) (ours map[string]bool, all bool, err error) {
	const remembered = 500
	saved, err := r.store.State(ctx, hooksKey+account)
	if err != nil {
		return nil, false, fmt.Errorf("read our hooks: %w", err)
	}
	ids := strings.Fields(saved)
	known := len(ids)
	if all = true; r.opts.OurHooks != nil {
		var now []string
		now, all = r.opts.OurHooks()
		for _, id := range now {
			if id != "" && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) > known {
		ids = ids[max(0, len(ids)-remembered):]
		if err := r.store.SetState(ctx, hooksKey+account, strings.Join(ids, " ")); err != nil {
			return nil, false, fmt.Errorf("save our hooks: %w", err)
		}
	}
	ours = make(map[string]bool, len(ids))
	for _, id := range ids {
		ours[id] = true
	}
	return ours, all, nil
}
