package fakekazoo

import (
	"maps"
	"slices"
	"time"
)

// The rules by which Kazoo switches a hook off (kazoo
// applications/webhooks/src/webhooks_disabler.erl).
const (
	failuresToDisable = 6
	failureWindow     = 60 * time.Second
	failureCheck      = 15 * time.Second

	// ReasonTooManyFailures is the disable_reason of a hook that Kazoo disabled.
	ReasonTooManyFailures = "too many failed attempts"
)

// failure is the real time of a failed try, and its millisecond on Kazoo's clock:
// several in one millisecond count once.
type failure struct {
	at time.Time
	ms int64
}

func (k *Kazoo) watchFailures() {
	for k.clock.sleep(k.ctx, failureCheck) {
		k.checkFailures()
	}
}

func (k *Kazoo) noteFailure(h hook) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	ms := int64(float64(now.Sub(k.started)) * k.clock.speed / float64(time.Millisecond))
	if slices.ContainsFunc(k.failures[h.id], func(f failure) bool { return f.ms == ms }) {
		return
	}
	k.failures[h.id] = append(k.failures[h.id], failure{now, ms})
}

// recentFailures removes failures older than the window and counts the rest.
func (k *Kazoo) recentFailures(hookID string) int {
	since := time.Now().Add(-k.clock.real(failureWindow))
	list := k.failures[hookID]
	for len(list) > 0 && list[0].at.Before(since) {
		list = list[1:]
	}
	if len(list) == 0 {
		delete(k.failures, hookID)
	} else {
		k.failures[hookID] = list
	}
	return len(list)
}

// checkFailures disables hooks that failed too often, and sends a notification,
// which may fire another hook.
func (k *Kazoo) checkFailures() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.app.update(k)
	for _, id := range slices.Sorted(maps.Keys(k.failures)) {
		if k.recentFailures(id) < failuresToDisable {
			continue
		}
		h := k.hooks[id]
		if h == nil {
			delete(k.failures, id)
			continue
		}
		k.disableLocked(h, ReasonTooManyFailures)
		k.truth.disabled()
		k.log.Debug().Str("hook_id", id).Msg("hook auto-disabled")
		k.notifyLocked(h.account, "webhook_disabled", obj("hook_id", id))
	}
}

// FailureCount returns the number of failures that count against a hook now.
func (k *Kazoo) FailureCount(hookID string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.recentFailures(hookID)
}
