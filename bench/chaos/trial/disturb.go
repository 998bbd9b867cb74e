package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"kazoohook/internal/fakekazoo"
)

// disturb makes a step that changes our hooks, Kazoo or the journal.
func (r *run) disturb(s Step, after func(func())) error {
	switch s.Kind {
	case Foreign:
		for _, id := range r.world.ourHooks() {
			if err := r.world.tamper(id, s); err != nil && !errors.Is(err, fakekazoo.ErrNotFound) {
				return err
			}
			r.tampered(id, s.Change)
		}
		if s.Undo {
			after(func() {})
		}
	case ViewLag:
		// In real time, because the receiver's minute is not sped up.
		r.world.SetViewLag(time.Duration(float64(s.Offset)*r.opts.Speed), "users")
		after(func() { r.world.SetViewLag(0) })
	case Offer:
		s.Offer.For = s.For
		before := r.world.ourHooks()
		if err := r.world.SetOffer(s.Offer); err != nil {
			return err
		}
		after(func() { r.kept(before, s) })
	}
	return nil
}

// tampered records a hook that another client deleted or renamed.
func (r *run) tampered(id string, c Change) {
	r.wrongMu.Lock()
	defer r.wrongMu.Unlock()
	if c == ChangeDeleted {
		r.deleted = append(r.deleted, id)
	}
	if c == ChangeDeleted || c == ChangeHarmless {
		r.nameless = append(r.nameless, id)
	}
}

// kept proves that no hook of ours was deleted because it was not offered.
func (r *run) kept(before []string, s Step) {
	now := r.world.ourHooks()
	r.wrongMu.Lock()
	defer r.wrongMu.Unlock()
	for _, id := range before {
		if !slices.Contains(now, id) && !slices.Contains(r.deleted, id) {
			r.wrong = append(r.wrong, fmt.Sprintf("hook %s was deleted while the offer was %s %v", id, s.Offer.State, s.Offer.Missing))
		}
	}
}

// replace stops the receiver and copies its data, or replaces the data by the copy,
// or by nothing if there is no copy. The hook secret stays.
func (r *run) replace(ctx context.Context, s Step) error {
	data, copied := filepath.Join(r.disk.dir, "data"), filepath.Join(r.dir, "copy")
	return r.receiver.While(ctx, syscall.SIGTERM, s.For, func() error {
		r.wrongMu.Lock()
		defer r.wrongMu.Unlock()
		if s.Kind == Backup {
			r.copied = time.Now()
			return copyFiles(data, copied)
		}
		files, err := os.ReadDir(data)
		if err != nil {
			return err
		}
		for _, f := range files {
			if f.Name() != "hook_secret" {
				if err := os.RemoveAll(filepath.Join(data, f.Name())); err != nil {
					return err
				}
			}
		}
		r.restored = append(r.restored, restoration{r.copied, time.Now(), r.world.named()})
		if r.copied.IsZero() {
			return nil
		}
		if err := r.disk.free(); err != nil { // the copy needs space
			return err
		}
		return copyFiles(copied, data)
	})
}

// copyFiles copies the files of a directory, without subdirectories.
func copyFiles(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := copyFile(filepath.Join(from, f.Name()), filepath.Join(to, f.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(filepath.Clean(from))
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600) //nolint:gosec // the receiver's data
}
