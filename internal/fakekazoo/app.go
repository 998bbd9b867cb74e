package fakekazoo

import "time"

// application is the webhooks application's table of the hooks. It is in memory,
// decides what fires, and gets each change by a message, in order,
// Options.HookDelay later (kazoo applications/webhooks/src/webhooks_listener.erl
// handle_config). The lock of Kazoo guards it.
type application struct {
	table   map[string]hook // by id; disabled ones are not in it
	pending []hookChange    // in the order of their arrival
	delay   time.Duration
}

// hookChange is a message on its way.
type hookChange struct {
	due  time.Time
	id   string
	hook *hook // as saved; nil: deleted
}

// publish sends a hook's change to the application.
func (k *Kazoo) publish(id string) {
	c := hookChange{due: time.Now().Add(k.clock.real(k.app.delay)), id: id}
	if n := len(k.app.pending); n > 0 && c.due.Before(k.app.pending[n-1].due) {
		c.due = k.app.pending[n-1].due // messages do not overtake
	}
	if h := k.hooks[id]; h != nil {
		saved := *h
		c.hook = &saved
	}
	k.app.pending = append(k.app.pending, c)
	k.app.update(k)
}

// update applies the changes that have arrived. Each resets the count of its hook's
// failures.
func (a *application) update(k *Kazoo) {
	now := time.Now()
	for len(a.pending) > 0 && !a.pending[0].due.After(now) {
		c := a.pending[0]
		a.pending = a.pending[1:]
		if c.hook == nil || !c.hook.enabled() {
			delete(a.table, c.id)
		} else {
			a.table[c.id] = *c.hook
		}
		delete(k.failures, c.id)
	}
}

// SetHookDelay changes Options.HookDelay.
func (k *Kazoo) SetHookDelay(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.app.delay = d
}

// Restart restarts Crossbar and the webhooks application: existing hooks are loaded
// at once, and Crossbar knows the available hooks.
func (k *Kazoo) Restart() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fresh = false
	for i := range k.app.pending {
		k.app.pending[i].due = time.Time{}
	}
	k.app.update(k)
	clear(k.failures)
}
