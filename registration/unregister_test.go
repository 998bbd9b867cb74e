package registration

import (
	"context"
	"slices"
	"strings"
	"testing"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/fakekazoo"
)

// lasting is a HookAPI that can't delete some hooks.
type lasting struct {
	HookAPI
	undeleted map[string]error // by id
	away      bool             // hooks are not listed either, from the first deletion on
	asked     int              // for deletions
}

func (a *lasting) DeleteHook(ctx context.Context, account, id string) error {
	a.asked++
	if err := a.undeleted[id]; err != nil {
		return err
	}
	return a.HookAPI.DeleteHook(ctx, account, id)
}

func (a *lasting) Hooks(ctx context.Context, account string) ([]crossbar.HookSummary, error) {
	if a.away && a.asked > 0 {
		return nil, errHangs
	}
	return a.HookAPI.Hooks(ctx, account)
}

// TestUnregisterGoesOn: a hook that can't be deleted keeps no other, and is named. If
// Kazoo doesn't answer at all, not every hook is tried.
func TestUnregisterGoesOn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		errs  []error // of the hooks, by id
		away  bool
		left  int
		asked int
	}{
		"refused":              {[]error{errPartial}, false, 1, 4},
		"two refused":          {[]error{nil, errPartial, errPartial}, false, 2, 4},
		"no answer for one":    {[]error{errHangs}, false, 1, 4},
		"no answer for three":  {[]error{errHangs, errHangs, errHangs}, false, 3, 4},
		"Kazoo doesn't answer": {[]error{errHangs, errHangs, errHangs, errHangs}, true, 4, silentAfter},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, fakekazoo.Options{})
			specs := []Spec{{"object", "user", "doc_deleted"}, {"object", "device", "doc_deleted"}, {Hook: "sms"}, {Hook: "parking"}}
			api := &lasting{HookAPI: c.api, undeleted: map[string]error{}, away: tc.away}
			r := NewReconciler(api, reconcilerOptions("http://127.0.0.1:1", specs...))
			if err := r.RunOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			hooks := c.hooks(t)
			slices.SortFunc(hooks, func(a, b crossbar.Hook) int { return strings.Compare(a.ID, b.ID) })
			for i, err := range tc.errs {
				api.undeleted[hooks[i].ID] = err
			}
			deleted, err := r.Unregister(t.Context())
			left := c.hooks(t)
			if len(left) != tc.left || len(deleted) != len(specs)-tc.left || api.asked != tc.asked {
				t.Errorf("%d hooks are left, want %d; deleted: %v; asked %d times", len(left), tc.left, summary(deleted), api.asked)
			}
			for i, h := range hooks {
				if i < len(tc.errs) && tc.errs[i] != nil && i < tc.asked && (err == nil || !strings.Contains(err.Error(), h.Name)) {
					t.Errorf("the error doesn't name %s: %v", h.Name, err)
				}
			}
		})
	}
}
