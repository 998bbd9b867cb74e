package crossbar_test

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/fakekazoo"
)

// TestAgainstFakeKazoo runs every operation against the strict fake of Kazoo 4.3
// and of Kazoo 5, over a real socket.
func TestAgainstFakeKazoo(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"4.3", "5"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			k := fakekazoo.New(fakekazoo.Options{Version: version, Speed: 1000})
			t.Cleanup(k.Close)
			srv := httptest.NewServer(k.API())
			t.Cleanup(srv.Close)
			c, err := crossbar.New(crossbar.Options{
				BaseURL: srv.URL, Auth: crossbar.APIKey(fakekazoo.DefaultAPIKey), Rate: 10_000,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			account, err := c.Login(t.Context())
			if err != nil || account.ID != k.AccountID() {
				t.Fatal(account, err)
			}
			hooks(t, c, account.ID)
			users(t, k, c, account.ID)
			if off, known := c.ClockOffset(); !known || off.Abs() > time.Minute {
				t.Errorf("clock offset %s, %t", off, known)
			}
		})
	}
}

func hooks(t *testing.T, c *crossbar.Client, account string) {
	t.Helper()
	ctx := t.Context()
	offered, err := c.Offered(ctx)
	if err != nil || len(offered) == 0 {
		t.Fatal(offered, err)
	}
	found := false
	for _, o := range offered {
		found = found || o.ID == "object" && len(o.Modifiers["type"]) > 0 && len(o.Modifiers["action"]) > 0
	}
	if !found {
		t.Errorf("no object hook with its modifiers among %+v", offered)
	}
	if samples, err := c.Samples(ctx); err != nil || len(samples) == 0 {
		t.Error(samples, err)
	}
	h := crossbar.Hook{
		Hook: "object", Name: "kazoohook object user doc_deleted", URI: "http://127.0.0.1:1/kazoo/sixteen-letters-/object",
		Verb: "post", Format: "form-data", Retries: 2, Enabled: true, CustomData: map[string]any{"type": "user", "action": "doc_deleted"},
	}
	made, err := c.CreateHook(ctx, account, h)
	if err != nil {
		t.Fatal(err)
	}
	made.Retries, made.Enabled = 3, false
	if _, err := c.ReplaceHook(ctx, account, made); err != nil {
		t.Error(err)
	}
	if _, err := c.EnableHook(ctx, account, made.ID); err != nil {
		t.Error(err)
	}
	got, err := c.Hook(ctx, account, made.ID)
	if err != nil || got.Retries != 3 || !got.Enabled || fmt.Sprint(got.CustomData) != fmt.Sprint(h.CustomData) || got.URI != h.URI {
		t.Errorf("%+v, %v", got, err)
	}
	if all, err := c.Hooks(ctx, account); err != nil || len(all) != 1 || all[0].ID != made.ID {
		t.Error(all, err)
	}
	now := time.Now()
	for _, err := range c.Attempts(ctx, account, made.ID, now.Add(-crossbar.MaxWindow), now) {
		if err != nil {
			t.Error(err)
		}
	}
	for range 2 {
		if err := c.DeleteHook(ctx, account, made.ID); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Hook(ctx, account, made.ID); !crossbar.IsNotFound(err) {
		t.Errorf("deleted hook: %v", err)
	}
}

func users(t *testing.T, k *fakekazoo.Kazoo, c *crossbar.Client, account string) {
	t.Helper()
	if _, err := k.SeedUsers(account, 1200); err != nil {
		t.Fatal(err)
	}
	k.RevokeTokens()
	alive := map[string]bool{}
	for _, id := range k.Living("users", account) {
		alive[id] = true
	}
	if len(alive) < 1200 {
		t.Fatalf("%d users", len(alive))
	}
	last := ""
	n := len(alive)
	for o, err := range c.Objects(t.Context(), account, "users") {
		if err != nil {
			t.Fatal(err)
		}
		if !alive[o.ID] {
			t.Errorf("%s is not alive or was listed twice", o.ID)
		}
		delete(alive, o.ID)
		last = o.ID
	}
	if len(alive) != 0 {
		t.Errorf("%d of %d users not listed", len(alive), n)
	}
	if err := k.DeleteUser(last); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Object(t.Context(), account, "users", last); !crossbar.IsNotFound(err) {
		t.Errorf("deleted user: %v", err)
	}
	for _, err := range c.Descendants(t.Context(), account) {
		if err != nil {
			t.Error(err)
		}
	}
}
