package registration

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"kazoohook/internal/crossbar"
)

// Failures keeps the recent attempts that Kazoo could not deliver, with
// explanations.
type Failures struct {
	mu     sync.Mutex
	seen   map[attemptKey]time.Time
	groups map[failureKey]*FailureGroup
}

// FailureGroup counts the failed attempts of one hook for one reason.
type FailureGroup struct {
	HookID   string    `json:"hook_id"`
	Hook     string    `json:"hook"`
	Why      string    `json:"why"` // the reason and what to do; Kazoo's words in quotes
	Attempts int       `json:"attempts"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

// Bounds, so that failures all day long don't fill the memory.
const (
	failuresKept  = 24 * time.Hour
	failuresMost  = 5000 // attempts remembered
	failureGroups = 100
)

type attemptKey struct {
	hook, firing string
	try          int // not the time, which changes with the measured offset of the clocks
}

type failureKey struct{ hook, why string }

// NewFailures returns an empty Failures.
func NewFailures() *Failures {
	return &Failures{seen: map[attemptKey]time.Time{}, groups: map[failureKey]*FailureGroup{}}
}

// Observe adds the attempts that were read at now, with times by our clock. Each
// attempt counts once.
func (f *Failures) Observe(attempts []crossbar.Attempt, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(now)
	for _, a := range attempts {
		// A transport error has only the number of tries left, an answer only the
		// number of the try.
		k := attemptKey{a.HookID, a.EventID, a.Try - a.RetriesLeft}
		if _, ok := f.seen[k]; ok || a.Result == "success" || now.Sub(a.Time) >= failuresKept || len(f.seen) >= failuresMost {
			continue
		}
		f.seen[k] = a.Time
		why := failureKey{a.HookID, Explain(a)}
		g := f.groups[why]
		if g == nil {
			if len(f.groups) >= failureGroups {
				continue
			}
			g = &FailureGroup{HookID: a.HookID, Hook: a.HookEvent, Why: why.why, First: a.Time.UTC(), Last: a.Time.UTC()}
			f.groups[why] = g
		}
		g.Attempts++
		if a.Time.Before(g.First) {
			g.First = a.Time.UTC()
		}
		if a.Time.After(g.Last) {
			g.Last = a.Time.UTC()
		}
	}
}

// Recent returns the groups of the last day, the newest failure first.
func (f *Failures) Recent(now time.Time) []FailureGroup {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(now)
	list := make([]FailureGroup, 0, len(f.groups))
	for _, g := range f.groups {
		list = append(list, *g)
	}
	slices.SortFunc(list, func(a, b FailureGroup) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Hook, b.Hook), cmp.Compare(a.Why, b.Why))
	})
	return list
}

func (f *Failures) forget(now time.Time) {
	for k, at := range f.seen {
		if now.Sub(at) >= failuresKept {
			delete(f.seen, k)
		}
	}
	for k, g := range f.groups {
		if now.Sub(g.Last) >= failuresKept {
			delete(f.groups, k)
		}
	}
}
