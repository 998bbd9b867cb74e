package crossbar_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/fakekazoo"
)

var errFenced = errors.New("another node leads now")

// TestFence: a forbidden request is neither sent nor tried again, even if the fence
// forbids it only when the connection exists.
func TestFence(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]int32{"before the request": 1, "when it is connected": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			k := fakekazoo.New(fakekazoo.Options{BucketsOff: true})
			t.Cleanup(k.Close)
			api := k.API()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				api.ServeHTTP(w, r)
			}))
			t.Cleanup(srv.Close)
			var closed atomic.Bool
			var asked atomic.Int32
			c, err := crossbar.New(crossbar.Options{
				BaseURL: srv.URL, Auth: crossbar.APIKey(fakekazoo.DefaultAPIKey), Rate: 100_000,
				Fence: func() error {
					if closed.Load() && asked.Add(1) >= after {
						return errFenced
					}
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			account, err := c.Login(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			// Often, since the transport may write while it is told to stop.
			for range 200 {
				before := requests.Load()
				asked.Store(0)
				closed.Store(true)
				if _, err := c.Hooks(t.Context(), account.ID); !errors.Is(err, errFenced) {
					t.Fatalf("got %v", err)
				}
				if n := asked.Load(); n != after {
					t.Fatalf("asked %d times, want %d: it was tried again", n, after)
				}
				closed.Store(false)
				if _, err := c.Hooks(t.Context(), account.ID); err != nil {
					t.Fatalf("with an open fence: %v", err)
				}
				if n := requests.Load() - before; n != 1 {
					t.Fatalf("%d requests were sent in spite of the fence", n-1)
				}
			}
		})
	}
}
