package registration

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/fakekazoo"
)

// partial is a HookAPI that fails for some hooks, with an answer.
type partial struct {
	HookAPI
	unread, refused string // names of hooks that can't be read or created
	offer           error
}

var errPartial = &crossbar.Error{Op: "hooks", Status: http.StatusInternalServerError}

func (a *partial) Hook(ctx context.Context, account, id string) (crossbar.Hook, error) {
	h, err := a.HookAPI.Hook(ctx, account, id)
	if err == nil && h.Name == a.unread {
		return crossbar.Hook{}, errPartial
	}
	return h, err
}

func (a *partial) CreateHook(ctx context.Context, account string, h crossbar.Hook) (crossbar.Hook, error) {
	if h.Name == a.refused {
		return crossbar.Hook{}, errPartial
	}
	return a.HookAPI.CreateHook(ctx, account, h)
}

func (a *partial) Offered(ctx context.Context) ([]crossbar.OfferedHook, error) {
	if a.offer != nil {
		return nil, a.offer
	}
	return a.HookAPI.Offered(ctx)
}

// TestRedundantHooks: a hook that is no longer wanted, or the twin of another, is deleted
// as soon as no event depends on it. What fails elsewhere keeps none.
func TestRedundantHooks(t *testing.T) {
	t.Parallel()
	const user, device, sms = "object user doc_deleted", "object device doc_deleted", "sms"
	deletions := []Spec{{"object", "user", "doc_deleted"}, {"object", "device", "doc_deleted"}}
	for name, tc := range map[string]struct {
		before, wanted []Spec
		twins          []string // hooks that are there twice
		api            partial
		want           []string // the hooks that stay as long as the failure
	}{
		"another hook can't be read": {deletions, deletions, []string{user},
			partial{unread: device}, []string{device, user}},
		"the hook that stays can't be read": {deletions, deletions, []string{user},
			partial{unread: user}, []string{device, user, user}},
		"not wanted, and another can't be read": {append(deletions, Spec{Hook: "sms"}), deletions, nil,
			partial{unread: device}, []string{device, user}},
		"not wanted, and it can't be read": {append(deletions, Spec{Hook: "sms"}), deletions, nil,
			partial{unread: sms}, []string{device, user}},
		"another hook can't be created": {append(deletions[:1:1], Spec{Hook: "sms"}), deletions, []string{user},
			partial{refused: device}, []string{user}},
		"the offer can't be read": {append(deletions[:1:1], Spec{Hook: "sms"}), deletions, []string{user},
			partial{offer: errPartial}, []string{user}},
		"part of a hook that can't be read": {deletions, []Spec{{"object", "all", "doc_deleted"}}, nil,
			partial{unread: "object all doc_deleted"}, []string{"object all doc_deleted", device, user}},
		"its part can't be created": {[]Spec{{"object", "user", "all"}}, deletions[:1], nil,
			partial{refused: user}, []string{"object user all"}},
		"what fires for some of its events can't be created": {[]Spec{{"object", "user", "all"}}, []Spec{{"object", "all", "doc_deleted"}}, nil,
			partial{refused: "object all doc_deleted"}, []string{"object user all"}},
		"what fires for some of its events is not known": {[]Spec{{"object", "user", "all"}}, []Spec{{"object", "all", "doc_deleted"}}, nil,
			partial{offer: errPartial}, []string{"object user all"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, fakekazoo.Options{Version: "5"})
			run := func(api HookAPI, specs []Spec) error {
				return NewReconciler(api, reconcilerOptions("http://127.0.0.1:1", specs...)).RunOnce(t.Context())
			}
			if err := run(c.api, tc.before); err != nil {
				t.Fatal(err)
			}
			for _, h := range c.hooks(t) {
				if slices.Contains(tc.twins, h.Name[len("kazoohook "):]) {
					if _, err := c.api.CreateHook(t.Context(), c.AccountID(), h); err != nil {
						t.Fatal(err)
					}
				}
			}
			names := func() (list []string) {
				for _, h := range c.hooks(t) {
					list = append(list, h.Name[len("kazoohook "):])
				}
				slices.Sort(list)
				return list
			}
			tc.api.HookAPI, tc.api.unread, tc.api.refused = c.api, "kazoohook "+tc.api.unread, "kazoohook "+tc.api.refused
			if err := run(&tc.api, tc.wanted); err == nil {
				t.Error("no error")
			}
			if got := names(); !slices.Equal(got, tc.want) {
				t.Errorf("while it fails: %q, want %q", got, tc.want)
			}
			if err := run(c.api, tc.wanted); err != nil {
				t.Error(err)
			}
			var want []string
			for _, s := range tc.wanted {
				want = append(want, s.String())
			}
			slices.Sort(want)
			if got := names(); !slices.Equal(got, want) {
				t.Errorf("afterwards: %q, want %q", got, want)
			}
		})
	}
}
