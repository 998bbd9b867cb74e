package registration

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
)

// Kazoo switches a hook off after failureLimit failures within failureSpan, and
// every try counts (kazoo 4.3 applications/webhooks/src/webhooks_disabler.erl).
const (
	failureLimit = 6
	failureSpan  = 60 * time.Second
)

// Budget counts the failures that bring Kazoo nearer to switching a hook off. Kazoo
// counts failures by the millisecond, so several within one millisecond count once.
// Its record has seconds only, but we know the milliseconds of our own refusals.
type Budget struct {
	firing func(hookID string) bool // reports whether the hook exists and is enabled
	log    zerolog.Logger

	mu      sync.Mutex
	recent  map[string][]time.Time // by hook id: failed attempts on Kazoo's record
	refused map[string][]time.Time // our own refusals; Kazoo records them too, soon after
	warned  map[string]time.Time
}

// NewBudget returns a Budget. It logs a warning when a firing hook has used half of
// its budget.
func NewBudget(firing func(hookID string) bool, log zerolog.Logger) *Budget {
	return &Budget{firing: firing, log: log, recent: map[string][]time.Time{}, refused: map[string][]time.Time{}, warned: map[string]time.Time{}}
}

// Observe counts failed attempts that were first read at now, oldest first, with
// times by our clock.
func (b *Budget) Observe(attempts []crossbar.Attempt, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := map[string]crossbar.Attempt{}
	for _, a := range attempts {
		if now.Sub(a.Time) < failureSpan && a.Result != "success" {
			b.recent[a.HookID] = append(b.recent[a.HookID], a.Time)
			last[a.HookID] = a
		}
	}
	from := now.Add(-failureSpan)
	for _, lists := range []map[string][]time.Time{b.recent, b.refused} {
		maps.DeleteFunc(lists, func(id string, times []time.Time) bool {
			slices.SortFunc(times, time.Time.Compare)
			lists[id] = since(times, from)
			return len(lists[id]) == 0
		})
	}
	for id, a := range last {
		b.warn(id, now, Explain(a))
	}
}

// Refused counts a request that we refused.
func (b *Budget) Refused(hookID string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused[hookID] = append(since(b.refused[hookID], now.Add(-failureSpan)), now)
	b.warn(hookID, now, "our own answer")
}

// warn logs, at most once a minute, that half of a hook's budget is used.
func (b *Budget) warn(id string, now time.Time, why string) {
	n := b.used(id, now)
	if at, ok := b.warned[id]; n < failureLimit/2 || ok && now.Sub(at) < failureSpan || !b.firing(id) {
		return
	}
	b.warned[id] = now
	b.log.Warn().Str("hook_id", id).Int("failures", n).Int("limit", failureLimit).Str("last_failure", why).
		Msg("Kazoo is about to switch this hook off: it counts failures within a minute")
}

// used returns the number of failures that Kazoo counts: our refusals by the
// millisecond, plus the failures that only Kazoo's record shows.
func (b *Budget) used(id string, now time.Time) int {
	from := now.Add(-failureSpan)
	refused := since(b.refused[id], from)
	counted, last := 0, time.Time{}
	for _, at := range refused {
		if ms := at.Truncate(time.Millisecond); !ms.Equal(last) {
			counted, last = counted+1, ms
		}
	}
	return counted + max(0, len(since(b.recent[id], from))-len(refused))
}

// Failures returns the failures within the last minute by hook id.
func (b *Budget) Failures(now time.Time) map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]int{}
	for _, list := range []map[string][]time.Time{b.recent, b.refused} {
		for id := range list {
			if n := b.used(id, now); n > 0 {
				out[id] = n
			}
		}
	}
	return out
}

// since returns the times after from; times is sorted.
func since(times []time.Time, from time.Time) []time.Time {
	for len(times) > 0 && !times[0].After(from) {
		times = times[1:]
	}
	return times
}
