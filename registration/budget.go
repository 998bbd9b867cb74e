package registration

import (
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

// Budget watches how near each hook is to being switched off.
type Budget struct {
	log zerolog.Logger

	mu      sync.Mutex
	recent  map[string][]time.Time // by hook id: failed attempts on Kazoo's record
	refused map[string][]time.Time // our own refusals that may not be on it yet
	warned  map[string]time.Time
}

// NewBudget returns a Budget that warns in log when half of it is used.
func NewBudget(log zerolog.Logger) *Budget {
	return &Budget{log: log, recent: map[string][]time.Time{}, refused: map[string][]time.Time{}, warned: map[string]time.Time{}}
}

// Observe takes the failed attempts that were read at now, oldest first, their
// times by our clock, at least those of the last minute: it replaces what was
// known, our own refusals included, which are among them.
func (b *Budget) Observe(attempts []crossbar.Attempt, now time.Time) {
	const storing = 2 * time.Second // until an attempt is on record
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.recent)
	last := map[string]crossbar.Attempt{}
	for _, a := range attempts {
		if now.Sub(a.Time) < failureSpan && a.Result != "success" {
			b.recent[a.HookID] = append(b.recent[a.HookID], a.Time)
			last[a.HookID] = a
		}
	}
	for id, times := range b.refused {
		if b.refused[id] = since(times, now.Add(-storing)); len(b.refused[id]) == 0 {
			delete(b.refused, id)
		}
	}
	for id := range b.recent {
		b.warn(id, now, Explain(last[id]))
	}
}

// Refused notes that we refused a delivery.
func (b *Budget) Refused(hookID string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused[hookID] = append(since(b.refused[hookID], now.Add(-failureSpan)), now)
	b.warn(hookID, now, "our own answer")
}

// warn says, at most once a minute, that half of a hook's budget is used.
func (b *Budget) warn(id string, now time.Time, why string) {
	n := b.used(id, now)
	if told, ok := b.warned[id]; n < failureLimit/2 || ok && now.Sub(told) < failureSpan {
		return
	}
	b.warned[id] = now
	b.log.Warn().Str("hook_id", id).Int("failures", n).Int("limit", failureLimit).Str("last_failure", why).
		Msg("Kazoo is about to switch this hook off: it counts failures within a minute")
}

func (b *Budget) used(id string, now time.Time) int {
	from := now.Add(-failureSpan)
	return len(since(b.recent[id], from)) + len(since(b.refused[id], from))
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

// since drops the times up to from of a list in order.
func since(times []time.Time, from time.Time) []time.Time {
	for len(times) > 0 && !times[0].After(from) {
		times = times[1:]
	}
	return times
}
