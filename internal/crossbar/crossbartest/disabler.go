package crossbartest

import "time"

// When Kazoo gives up on a hook
// (kazoo applications/webhooks/src/webhooks_disabler.erl).
const (
	failuresToDisable = 6
	failureWindow     = 60 * time.Second
	failureCheck      = 15 * time.Second

	// ReasonTooManyFailures is the disable_reason of a hook that Kazoo disabled.
	ReasonTooManyFailures = "too many failed attempts"
)

// failure is when a try failed, in real time.
type failure time.Time

func (k *Kazoo) watchFailures() {
	for k.clock.sleep(k.ctx, failureCheck) {
		k.checkFailures()
	}
}

func (k *Kazoo) noteFailure(h hook) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failures[h.id] = append(k.failures[h.id], failure(time.Now()))
}

// recentFailures forgets what is older than the window and counts the rest.
func (k *Kazoo) recentFailures(hookID string) int {
	since := time.Now().Add(-k.clock.real(failureWindow))
	list := k.failures[hookID]
	for len(list) > 0 && time.Time(list[0]).Before(since) {
		list = list[1:]
	}
	if len(list) == 0 {
		delete(k.failures, hookID)
	} else {
		k.failures[hookID] = list
	}
	return len(list)
}

// checkFailures disables what failed too often and says so by a notification,
// which may fire another hook.
func (k *Kazoo) checkFailures() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range k.failures {
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

// FailureCount is how many failures of a hook count against it at the moment.
func (k *Kazoo) FailureCount(hookID string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.recentFailures(hookID)
}
