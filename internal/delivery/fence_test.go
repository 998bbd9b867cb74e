package delivery

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// TestFence: while the fence refuses, no attempt is made or counted. Afterwards waiting
// events are delivered.
func TestFence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var closed atomic.Bool
		closed.Store(true)
		w.fence = func() error {
			if closed.Load() {
				return errFails
			}
			return nil
		}
		w.edits("a", "b")
		w.run(dest(t, "d"))
		pass(time.Minute)
		if got := w.fake("d").all(); len(got) != 0 {
			t.Fatalf("attempts in spite of the fence: %+v", got)
		}
		if s := w.status("d"); s.State != StateOK || s.Waiting != 2 || s.LastError != "" {
			t.Errorf("%+v", s)
		}
		closed.Store(false)
		pass(2 * time.Second)
		same(t, "delivered", w.delivered("d"), []int64{1, 2})
		for _, s := range w.fake("d").all() {
			if s.attempt != 1 {
				t.Errorf("an attempt that wasn't made counts: %+v", s)
			}
		}
	})
}

// TestFenceWhilePaused: while a destination is paused by failures, a probe that the fence
// refuses is tried again after a second, not at once.
func TestFenceWhilePaused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 200 // afterwards the fence opens, so that a loop ends
		w := newWorld(t)
		var closed atomic.Bool
		var asked atomic.Int32
		w.fence = func() error {
			if closed.Load() && asked.Add(1) <= most {
				return errFails
			}
			return nil
		}
		w.fake("d").set(vanished)
		w.run(dest(t, "d"))
		w.edits("a", "b", "c", "d", "e", "f")
		pass(time.Hour)
		if s := w.status("d"); s.State != StatePaused {
			t.Fatalf("%+v", s)
		}
		closed.Store(true)
		pass(2 * time.Minute)
		if n := asked.Load(); n < 50 || n > 125 {
			t.Errorf("the fence was asked %d times in two minutes", n)
		}
		closed.Store(false)
		w.fake("d").set(nil)
		pass(2 * time.Second)
		same(t, "delivered", len(w.delivered("d")), 6)
	})
}

// TestFenceWhenConnected: the fence refuses once the connection is there. Then nothing
// is sent, and the attempt doesn't count.
func TestFenceWhenConnected(t *testing.T) {
	t.Parallel()
	var requests, asked atomic.Int32
	var closed atomic.Bool
	closed.Store(true)
	srv := serve(t, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	w := newWorld(t)
	w.edits("a")
	e, err := New(t.Context(), Options{Journal: w.j, Log: zerolog.Nop(), Fence: func() error {
		if n := asked.Add(1); closed.Load() && n%2 == 0 {
			return errFails
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Set(t.Context(), []*Destination{dest(t, "d", func(s *Settings) { s.HTTP.URL, s.Timeout = srv.URL, wait })}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	eventually(t, "the fence wasn't asked at a connection", func() bool { return asked.Load() >= 2 })
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	closed.Store(false)
	eventually(t, "the event isn't delivered", func() bool { return requests.Load() == 1 })
	eventually(t, "its outcome isn't kept", func() bool {
		states, err := e.Status(t.Context())
		return err == nil && states[0].Delivered == 1 && states[0].LastError == ""
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestFenceOverASharedConnection: over HTTP/2, the fence ends the connection also for an
// attempt that runs. Its failure is not the destination's.
func TestFenceOverASharedConnection(t *testing.T) {
	t.Parallel()
	for name, lasting := range map[string]bool{"refused once": false, "refused until both have failed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests, asked, wrong atomic.Int32
			var open atomic.Bool
			lost := make(chan struct{})
			ours := newAuthority(t, "ours")
			srv := ours.secure(t, time.Now().Add(time.Hour), false, func(_ http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor != 2 {
					wrong.Add(1)
				}
				if requests.Add(1) == 1 {
					<-r.Context().Done()
					close(lost)
				}
			})
			w := newWorld(t)
			w.edits("a")
			e, err := New(t.Context(), Options{Journal: w.j, Log: zerolog.Nop(), Fence: func() error {
				// The fourth time is when the second attempt has the connection.
				if n := asked.Add(1); n == 4 || n > 4 && lasting && !open.Load() {
					return errFails
				}
				return nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Set(t.Context(), []*Destination{dest(t, "d", func(s *Settings) { s.HTTP.URL, s.HTTP.CA, s.Timeout = srv.URL, ours.pem, wait })}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- e.Run(ctx) }()
			eventually(t, "the first attempt doesn't run", func() bool { return requests.Load() == 1 })
			w.edits("b")
			<-lost
			eventually(t, "the fence wasn't asked again", func() bool { return !lasting || asked.Load() >= 6 })
			open.Store(true)
			eventually(t, "not both are delivered", func() bool {
				states, err := e.Status(t.Context())
				return err == nil && states[0].Delivered == 2
			})
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			for seq := int64(1); seq <= 2; seq++ {
				list, err := w.j.Deliveries(t.Context(), seq)
				if err != nil || len(list) != 1 || len(list[0].History) != 1 {
					t.Errorf("only the success counts: %+v, %v", list, err)
				}
			}
			if wrong.Load() > 0 {
				t.Error("it was not HTTP/2")
			}
		})
	}
}

// TestNothingIsSentWhenRefused: the transport may write while it is told to stop, so
// this is tried often, over a connection that serves one request and over one that
// serves several.
func TestNothingIsSentWhenRefused(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	count := func(http.ResponseWriter, *http.Request) { requests.Add(1) }
	ours := newAuthority(t, "ours")
	for name, s := range map[string]*httpSender{
		"HTTP/1.1": sender(t, HTTPSettings{URL: serve(t, count).URL}),
		"HTTP/2":   sender(t, HTTPSettings{URL: ours.secure(t, time.Now().Add(time.Hour), false, count).URL, CA: ours.pem}),
	} {
		t.Run(name, func(t *testing.T) {
			refusing := &runner{e: &Engine{opt: Options{Fence: func() error { return errFails }}}}
			for range 200 {
				before := requests.Load()
				refusals := refusing.refusals.Load()
				ctx, stop := refusing.fenced(t.Context())
				r := s.Send(ctx, message())
				stop()
				if r.Err == nil || refusing.refusals.Load() == refusals {
					t.Fatalf("%+v, refused: %d", r, refusing.refusals.Load())
				}
				// The transport may offer the closed connection until it notices.
				r = s.Send(t.Context(), message())
				for deadline := time.Now().Add(wait); r.Err != nil && time.Now().Before(deadline); {
					r = s.Send(t.Context(), message())
				}
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				if n := requests.Load() - before; n != 1 {
					t.Fatalf("%d requests were sent in spite of the fence", n-1)
				}
			}
		})
	}
}
