package crossbar

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// waiters queues requests and notes the order and time in which they are sent.
type waiters struct {
	b     *budget
	wg    sync.WaitGroup
	mu    sync.Mutex
	order []string
	at    []time.Duration
	start time.Time
}

func (w *waiters) add(ctx context.Context, p Priority, name string) {
	w.wg.Go(func() {
		if w.b.wait(ctx, p, requestCost) != nil {
			name = "!" + name
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.order = append(w.order, name)
		w.at = append(w.at, time.Since(w.start))
	})
	synctest.Wait() // the request is queued
}

// drain uses up the tokens, so that the next request must wait.
func drain(t *testing.T, b *budget) {
	t.Helper()
	for b.pace.Tokens() >= 1 {
		if err := b.wait(t.Context(), Hooks, requestCost); err != nil {
			t.Fatal(err)
		}
	}
	b.others = 0
}

func TestPriorities(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		arrive string // in this order: h, r, b
		want   string
	}{
		"hooks, recovery, listings": {"bbrrhh", "hhrrbb"},
		"in order within one":       {"bbbb", "bbbb"},
		"a fifth for listings":      {"bbbhhhhhhhhhhhh", "hhhhbhhhhbhhhhb"},
		"also from recovery":        {"bbrrrrrrrr", "rrrrbrrrrb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBudget(1)
				drain(t, b)
				w := &waiters{b: b, start: time.Now()}
				class := map[rune]Priority{'h': Hooks, 'r': Recovery, 'b': Background}
				for _, c := range tc.arrive {
					w.add(t.Context(), class[c], string(c))
				}
				w.wg.Wait()
				if got := strings.Join(w.order, ""); got != tc.want {
					t.Errorf("sent %s, want %s", got, tc.want)
				}
				for i, at := range w.at {
					if want := time.Duration(i+1) * time.Second; at < want-time.Millisecond || at > want+time.Millisecond {
						t.Errorf("request %d after %s", i, at)
					}
				}
			})
		})
	}
}

// A listing in progress delays a hook check by one request at most.
func TestHookCheckDuringAListing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPI()
		a.authed("GET "+hooksPath, func(w http.ResponseWriter, _ *http.Request) { ok(w, []any{}) })
		a.authed("GET /v2/accounts/{id}/users", func(w http.ResponseWriter, r *http.Request) {
			next := r.URL.Query().Get("start_key") + "x"
			reply(w, 200, map[string]any{"status": "success", "next_start_key": next, "data": []any{map[string]any{"id": next}}})
		})
		c, _ := inMemory(t, a, func(o *Options) { o.Rate = 2 })
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, err := range c.Objects(ctx, testAccount, "users") {
				if err != nil {
					return
				}
			}
		}()
		time.Sleep(time.Minute)
		for range 20 {
			start := time.Now()
			if _, err := c.Hooks(t.Context(), testAccount); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); d > 500*time.Millisecond {
				t.Errorf("a hook check waited %s at two requests a second", d)
			}
			time.Sleep(1300 * time.Millisecond)
		}
		stop()
		<-done
	})
}

func TestTurnsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(0.01)
		drain(t, b)
		w := &waiters{b: b, start: time.Now()}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w.add(ctx, Hooks, "short")
		w.add(t.Context(), Background, "long")
		w.wg.Wait()
		if got := strings.Join(w.order, " "); got != "!short long" || w.at[0] != time.Second || w.at[1] < 90*time.Second {
			t.Error(got, w.at)
		}
		if err := b.wait(ctx, Hooks, requestCost); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestPriorityOf(t *testing.T) {
	t.Parallel()
	for op, want := range map[string]Priority{
		opLogin: Hooks, opHooksList: Hooks, opHooksCreate: Hooks, opOffered: Hooks, opAttempts: Recovery,
		opObjectsList: Background, opObjectsGet: Background, opDescendants: Background, opSamples: Background,
	} {
		if got := priorityOf(op); got != want {
			t.Errorf("%s: %d", op, got)
		}
	}
}
