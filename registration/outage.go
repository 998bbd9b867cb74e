package registration

import (
	"slices"
	"strings"
	"time"

	"kazoohook/internal/crossbar"
)

// Outage is a span of time in which hooks may not have fired.
type Outage struct {
	From, To time.Time // From zero: unknown
	Hooks    []string  // their names
	Reasons  []string
}

// merge combines outages into one.
func merge(list []Outage) Outage {
	one := list[0]
	one.Hooks, one.Reasons = slices.Clone(one.Hooks), slices.Clone(one.Reasons)
	for _, o := range list[1:] {
		if o.To.After(one.To) {
			one.To = o.To
		}
		one.From = minTime(one.From, o.From) // zero means unknown, and is the earliest
		one.Hooks = append(one.Hooks, o.Hooks...)
		one.Reasons = append(one.Reasons, o.Reasons...)
	}
	slices.Sort(one.Hooks)
	slices.Sort(one.Reasons)
	one.Hooks, one.Reasons = slices.Compact(one.Hooks), slices.Compact(one.Reasons)
	return one
}

// Outages counts the outages found since the start.
func (e *Engine) Outages() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.outages
}

// outage logs the outages that have ended as one, and requests a comparison.
func (e *Engine) outage(ended []Outage) {
	if len(ended) == 0 {
		return
	}
	o := merge(ended)
	e.mu.Lock()
	e.outages++
	e.mu.Unlock()
	line := e.opts.Log.Warn().Str("reason", strings.Join(o.Reasons, "; ")).Strs("hooks", o.Hooks).Time("to", o.To.UTC())
	if !o.From.IsZero() {
		line.Time("from", o.From.UTC()).Int64("at_most_ms", o.To.Sub(o.From).Milliseconds())
	}
	line.Msg("outage: events may have been missed in this time; Kazoo's record of failed attempts is read and all objects are compared")
	e.Recoverer.ReadWhole()
	e.askResync(afterOutage)
}

const afterOutage = "after an outage" // reason of a comparison

// signs searches new failed attempts, oldest first, for evidence that a hook was
// off or changed, even if it is as wanted again.
func (e *Engine) signs(attempts []crossbar.Attempt) {
	for _, s := range e.judge.look(attempts, e.proofs.judgedUntil(), e.Reconciler.wanted()) {
		e.proofs.sign(s.hookID, s.at, s.why)
		e.Reconciler.ReconcileNow()
	}
	if len(attempts) > 0 {
		e.proofs.judgedTo(attempts[len(attempts)-1].Time)
	}
}

const logAgain = 10 * time.Minute

// reachability logs that Kazoo tries and fails, if nothing has arrived since.
// Failures from before our start are reported as an outage.
func (e *Engine) reachability(attempts []crossbar.Attempt, now time.Time) {
	if len(attempts) == 0 {
		return
	}
	last := attempts[len(attempts)-1]
	delivered := e.opts.LastDelivery()
	e.mu.Lock()
	started := e.started.Add(-time.Second) // attempts are timed to the second
	e.mu.Unlock()
	if last.Result == "success" || last.Time.Before(started) || delivered.After(last.Time) || now.Sub(last.Time) > logAgain {
		return
	}
	why := Explain(last)
	if !e.mayLog("reach: " + why) {
		return
	}
	line := e.opts.Log.Warn().Time("failed_at", last.Time.UTC()).Str("uri", redactURI(last.URI)).Str("hook_id", last.HookID)
	if !delivered.IsZero() {
		line.Time("last_delivery", delivered.UTC())
	}
	line.Msg("Kazoo tries to deliver and fails: " + why)
}

// mayLog limits a repeated message to one every ten minutes.
func (e *Engine) mayLog(what string) bool {
	now := e.opts.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for k, at := range e.logged {
		if now.Sub(at) >= logAgain {
			delete(e.logged, k)
		}
	}
	if _, logged := e.logged[what]; logged {
		return false
	}
	e.logged[what] = now
	return true
}
