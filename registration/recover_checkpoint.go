package registration

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// checkpoint is how far Kazoo's record of failed attempts was read, by Kazoo's
// clock, which stamps the attempts, and by ours: if one of the two is set to
// another time, the other still tells where to go on.
type checkpoint struct {
	Kazoo time.Time `json:"kazoo"`
	Ours  time.Time `json:"ours"`
}

const (
	checkpointKey = "recover.checkpoint."
	hooksKey      = "recover.hooks."

	// overlap is read again each time: attempts are stored behind the event, so
	// one may appear later than others that are younger, and a firing whose last
	// try is new began up to 5 tries of 2 s and 10 s of connecting before.
	overlap = 5 * time.Minute
	// ahead is how far beyond now is read: clocks are compared to the second,
	// and each of Kazoo's nodes has its own.
	ahead = 2 * time.Minute
	// jumpLook is how far back is read where no clock can be believed.
	jumpLook = 24 * time.Hour
	// A month that Kazoo says it doesn't have must stay away this long before it
	// is given up: databases and views are absent while they are built.
	archiveGrace = 10 * time.Minute
	// longestLook bounds the catching up: Kazoo archives months long before.
	longestLook = 366 * 24 * time.Hour
)

func (r *Recoverer) lastCheckpoint(ctx context.Context, account string) (c checkpoint, err error) {
	saved, err := r.store.State(ctx, checkpointKey+account)
	if err != nil {
		return c, fmt.Errorf("read the checkpoint: %w", err)
	}
	if saved == "" {
		return c, nil
	}
	if err := json.Unmarshal([]byte(saved), &c); err != nil || c.Kazoo.IsZero() || c.Ours.IsZero() {
		// Nobody but us writes it. Reading everything again loses nothing.
		r.opts.Log.Error().Str("checkpoint", saved).Msg("the checkpoint of recovering is unreadable: Kazoo's whole record of failed attempts is read again")
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

// start is where to read from, by Kazoo's clock: the earlier of what the two
// clocks say, and never after now.
func (r *Recoverer) start(last, now checkpoint) time.Time {
	offset := now.Kazoo.Sub(now.Ours)
	from := minTime(minTime(last.Kazoo, last.Ours.Add(offset)), now.Kazoo).Add(-overlap)
	if last.Kazoo.After(now.Kazoo.Add(ahead)) && last.Ours.After(now.Ours.Add(ahead)) {
		from = now.Kazoo.Add(-jumpLook) // both were set back: nobody knows how long ago it was
	}
	if earliest := now.Kazoo.Add(-longestLook); from.Before(earliest) {
		r.opts.Log.Warn().Time("from", from.UTC()).Time("to", earliest.UTC()).
			Msg("the record of failed attempts was last read very long ago: this time is not looked at")
		return earliest
	}
	return from
}

// ourHooks gives the ids of the hooks that are or ever were ours, so that the
// attempts of one that was deleted or moved are still known.
func (r *Recoverer) ourHooks(ctx context.Context, account string) (map[string]bool, error) {
	const remembered = 500
	saved, err := r.store.State(ctx, hooksKey+account)
	if err != nil {
		return nil, fmt.Errorf("read our hooks: %w", err)
	}
	ids := strings.Fields(saved)
	known := len(ids)
	if r.opts.OurHooks != nil {
		for _, id := range r.opts.OurHooks() {
			if id != "" && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) > known {
		ids = ids[max(0, len(ids)-remembered):]
		if err := r.store.SetState(ctx, hooksKey+account, strings.Join(ids, " ")); err != nil {
			return nil, fmt.Errorf("save our hooks: %w", err)
		}
	}
	ours := make(map[string]bool, len(ids))
	for _, id := range ids {
		ours[id] = true
	}
	return ours, nil
}
