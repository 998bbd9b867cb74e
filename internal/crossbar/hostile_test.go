package crossbar_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/fakekazoo"
)

// newClient starts a fake Kazoo and logs a client in.
func newClient(t *testing.T, opt fakekazoo.Options, change func(*crossbar.Options)) (*fakekazoo.Kazoo, *crossbar.Client, string) {
	t.Helper()
	opt.BucketsOff = true
	k := fakekazoo.New(opt)
	t.Cleanup(k.Close)
	srv := httptest.NewServer(k.API())
	t.Cleanup(srv.Close)
	o := crossbar.Options{BaseURL: srv.URL, Auth: crossbar.APIKey(fakekazoo.DefaultAPIKey), Rate: 100_000}
	if change != nil {
		change(&o)
	}
	c, err := crossbar.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	account, err := c.Login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return k, c, account.ID
}

// peak runs do and returns the most memory that was in use meanwhile, less what
// was in use before.
func peak(do func()) uint64 {
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	done, most := make(chan struct{}), make(chan uint64)
	go func() {
		high := uint64(0)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				most <- high
				return
			case <-tick.C:
				runtime.ReadMemStats(&now)
				if now.HeapInuse > before.HeapInuse {
					high = max(high, now.HeapInuse-before.HeapInuse)
				}
			}
		}
	}()
	do()
	close(done)
	return <-most
}

// A listing of a hostile API ends with an error, here with a tenth of the real limits.
func TestHostileAPI(t *testing.T) { //nolint:paralleltest // memory of the whole process is measured
	hostile(t, 10)
}

// hostile tries one attack after the other, because of the measurement: each ends
// with an error and in little memory. The fake runs in the same process and its
// memory counts, too.
func hostile(t *testing.T, part int) {
	t.Helper()
	k, c, account := newClient(t, fakekazoo.Options{}, func(o *crossbar.Options) { o.Timeout = 10 * time.Second })
	c.Shrink(part)
	ctx := t.Context()
	objects := func(ctx context.Context) (n int, err error) {
		for _, err = range c.Objects(ctx, account, "users") {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
	attempts := func(ctx context.Context) (n int, err error) {
		now := time.Now()
		for _, err = range c.Attempts(ctx, account, "", now.Add(-time.Hour), now) {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
	for _, tc := range []struct {
		name  string
		fault fakekazoo.Fault
		do    func(context.Context) (int, error)
		items int
		want  string
	}{
		{"endless attempts", fakekazoo.Fault{Kind: fakekazoo.FaultEndless, Op: "attempts.list"}, attempts, 100_000 / part, fmt.Sprintf("more than %d pages", 200/part)},
		{"endless users", fakekazoo.Fault{Kind: fakekazoo.FaultEndless, Op: "users.list"}, objects, 200_000 / part, fmt.Sprintf("more than %d items", 200_000/part)},
		{"bomb of users", fakekazoo.Fault{Kind: fakekazoo.FaultBomb}, objects, 0, "one element has more than"},
		{"bomb of attempts", fakekazoo.Fault{Kind: fakekazoo.FaultBomb}, attempts, 0, "one element has more than"},
		{"drip", fakekazoo.Fault{Kind: fakekazoo.FaultDrip, Delay: 20 * time.Millisecond, Op: "users.list"}, func(ctx context.Context) (int, error) {
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			return objects(short)
		}, 0, "deadline"},
	} {
		if _, err := k.SeedUsers("", 20); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Inject(tc.fault); err != nil {
			t.Fatal(err)
		}
		var n int
		var err error
		start := time.Now()
		used := peak(func() { n, err = tc.do(ctx) })
		k.ClearFaults()
		t.Logf("%s: %d items in %s, %d MiB, %v", tc.name, n, time.Since(start).Round(time.Millisecond), used>>20, err)
		if err == nil || !strings.Contains(err.Error(), tc.want) || n != tc.items {
			t.Errorf("%s: %d items, %v", tc.name, n, err)
		}
		if tc.want != "deadline" && !errors.Is(err, crossbar.ErrLimit) {
			t.Errorf("%s: %v is not ErrLimit", tc.name, err)
		}
		if used > 96<<20 {
			t.Errorf("%s took %d MiB", tc.name, used>>20)
		}
	}
	if n, err := objects(ctx); err != nil || n != 100 {
		t.Error("afterwards:", n, err)
	}
}

// The case of the user's name doesn't matter, nor case and spaces in the account's.
func TestLoginAsPeopleType(t *testing.T) {
	t.Parallel()
	for _, hash := range []string{"", "md5", "sha1"} {
		_, _, account := newClient(t, fakekazoo.Options{Username: "Ann.Lee"}, func(o *crossbar.Options) {
			o.Auth = crossbar.Password{User: "ANN.lee", Pass: fakekazoo.DefaultPassword, Hash: hash}
			o.AccountName = "AC me"
		})
		if account != fakekazoo.DefaultAccountID {
			t.Error(account)
		}
	}
}

// A hook of version 2 reads back with its key where Kazoo keeps it, without
// version where it does not, and its key is never printed.
func TestVersion2Hooks(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef0123456789abcdef"
	legs := false
	for name, tc := range map[string]struct {
		opt     fakekazoo.Options
		version string
		refused bool
	}{
		"4.3":       {fakekazoo.Options{}, "", false},
		"5":         {fakekazoo.Options{Version: "5"}, "v2", false},
		"5 drops":   {fakekazoo.Options{Version: "5", Version2: fakekazoo.Version2Dropped}, "", false},
		"5 refuses": {fakekazoo.Options{Version: "5", Version2: fakekazoo.Version2Refused}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, c, account := newClient(t, tc.opt, nil)
			h := crossbar.Hook{
				Hook: "object", Name: "n", URI: "http://127.0.0.1:1/kazoo/x", Format: "json", Enabled: true,
				CustomData: map[string]any{"type": "user", "action": "doc_deleted"},
				Version:    "v2", SecurityKey: key, InternalLegs: &legs,
			}
			made, err := c.CreateHook(t.Context(), account, h)
			if tc.refused {
				if err == nil || strings.Contains(err.Error(), key) {
					t.Fatal(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Hook(t.Context(), account, made.ID)
			if err != nil || got.Version != tc.version || (got.SecurityKey == key) != (tc.version == "v2") {
				t.Errorf("%+v, %v", got, err)
			}
			if strings.Contains(string(got.Raw), key) || got.Saves() != 1 {
				t.Errorf("%s, %d saves", got.Raw, got.Saves())
			}
			if known := tc.opt.Version == "5"; (got.InternalLegs != nil) != known || (known && *got.InternalLegs) {
				t.Errorf("internal legs %v", got.InternalLegs)
			}
		})
	}
}

// The number of saves shows a change that was made and undone.
func TestSavesTellOfForeignChanges(t *testing.T) {
	t.Parallel()
	k, c, account := newClient(t, fakekazoo.Options{}, nil)
	h := crossbar.Hook{Hook: "sms", Name: "n", URI: "http://127.0.0.1:1/x", Enabled: true}
	made, err := c.CreateHook(t.Context(), account, h)
	if err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{"http://elsewhere/", h.URI} {
		if err := k.ChangeHook(made.ID, map[string]any{"uri": uri}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Hook(t.Context(), account, made.ID)
	if err != nil || made.Saves() != 1 || got.Saves() != 3 || got.URI != made.URI {
		t.Errorf("%s after %s, %v", got.Revision, made.Revision, err)
	}
}

// Listings lag behind, so the object itself decides. An error is not a "not found".
func TestObjectDecides(t *testing.T) {
	t.Parallel()
	k, c, account := newClient(t, fakekazoo.Options{ViewLag: time.Hour}, nil)
	u, err := k.CreateUser(fakekazoo.User{})
	if err != nil {
		t.Fatal(err)
	}
	for o, err := range c.Objects(t.Context(), account, "users") {
		if err != nil || o.ID == u.ID {
			t.Error("listed", o.ID, err)
		}
	}
	if _, err := c.Object(t.Context(), account, "users", u.ID); err != nil {
		t.Error(err)
	}
	if err := k.DeleteUser(u.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Object(t.Context(), account, "users", u.ID); !crossbar.IsNotFound(err) {
		t.Error(err)
	}
	for _, status := range []int{401, 403, 429, 500, 503} {
		if _, err := k.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultStatus, Status: status, Op: "users.get"}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := c.Object(ctx, account, "users", u.ID)
		cancel()
		if err == nil || crossbar.IsNotFound(err) {
			t.Errorf("%d: %v", status, err)
		}
		k.ClearFaults()
	}
}

// A command's deadline ends every wait, even if Kazoo can't be reached.
func TestDeadlineEndsEverything(t *testing.T) {
	t.Parallel()
	k, c, account := newClient(t, fakekazoo.Options{}, nil)
	for _, f := range []fakekazoo.Fault{
		{Kind: fakekazoo.FaultDown}, {Kind: fakekazoo.FaultStatus}, {Kind: fakekazoo.FaultSlow, Delay: time.Hour},
	} {
		k.ClearFaults()
		if _, err := k.Inject(f); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		start := time.Now()
		_, err := c.Hooks(ctx, account)
		cancel()
		if d := time.Since(start); err == nil || d > 30*time.Second {
			t.Errorf("%s: %v after %s", f.Kind, err, d)
		}
	}
}
