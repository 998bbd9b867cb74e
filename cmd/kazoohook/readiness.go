package main

import (
	"context"
	"sync"
	"time"

	"kazoohook/handlers"
	"kazoohook/internal/consumer"
	"kazoohook/registration"
	"kazoohook/server"
)

// readyChecks makes the checks of /readyz and remembers when each began to fail.
type readyChecks struct {
	journal interface {
		Health() error
		Trouble() error
	}
	status    func() registration.Status
	consumers func() []*consumer.Consumer      // nil: none
	failing   func() []registration.Failing    // nil: nothing
	recovered func() registration.RecoverStats // likewise
	interval  time.Duration                    // between two passes over the hooks

	cluster  func() handlers.ClusterStatus                  // nil: a single node
	leads    func() bool                                    // likewise
	ofOthers func(context.Context) ([]handlers.Check, bool) // asks the leader for ofLeader; likewise

	certificates func() []server.CertificateState // nil: none
	now          func() time.Time
	started      time.Time

	mu       sync.Mutex
	since    map[string]time.Time // by name of the check; only those that fail
	reported []handlers.Check     // by the leader, if another node leads
}

const (
	// stuckAfter is the time that a consumer may make no progress.
	stuckAfter = time.Minute
	// failingAfter is the time that reading objects from Kazoo may fail.
	failingAfter = time.Minute
	// unknownAtLeast is the least time that the hooks may stay unchecked, whatever
	// the interval.
	unknownAtLeast = time.Minute
	// readinessLook is the interval of the checks, in addition to requests for them.
	readinessLook = 5 * time.Second
)

// run makes the checks now and then until ctx ends, so that the age of a failure is
// known.
func (r *readyChecks) run(ctx context.Context) error {
	tick := time.NewTicker(readinessLook)
	defer tick.Stop()
	for {
		if r.askLeader(ctx) {
			tick.Reset(readinessLook)
		} else {
			tick.Reset(readinessLook / 10) // the next leader may begin soon
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.checks(ctx)
		}
	}
}

// checks makes the checks now. It serves as Ready of handlers.Common.
func (r *readyChecks) checks(context.Context) []handlers.Check {
	now := r.now()
	all := []handlers.Check{{Name: "listening", OK: true}, journalCheck(r.journal.Health(), r.journal.Trouble())}
	if r.cluster != nil {
		all = append(all, clusterCheck(r.cluster()))
	}
	if r.leads == nil || r.leads() {
		all = append(all, r.ofLeader()...)
	} else {
		r.mu.Lock()
		all = append(all, r.reported...)
		if r.reported == nil {
			all = append(all, handlers.Check{Name: "kazoo", Reason: "the leader of the cluster has not answered yet whether the hooks fire"})
		}
		r.mu.Unlock()
	}
	all = append(all, r.certificateCheck(now))
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, c := range all {
		if c.OK {
			delete(r.since, c.Name)
			continue
		}
		if _, ok := r.since[c.Name]; !ok {
			if r.since == nil {
				r.since = map[string]time.Time{}
			}
			r.since[c.Name] = now
		}
		if c.Since.IsZero() {
			all[i].Since = r.since[c.Name]
		}
	}
	return all
}

// ofLeader makes the checks that only the leader of a cluster can make.
func (r *readyChecks) ofLeader() []handlers.Check {
	now, status := r.now(), r.status()
	return []handlers.Check{r.kazooCheck(status, now), hooksCheck(status), consumersCheck(r.running(), now), r.objectsCheck(now), r.attemptsCheck(now)}
}

// askLeader asks the leader for its checks. While there is no leader, the last ones
// stay, and the check of the cluster fails.
func (r *readyChecks) askLeader(ctx context.Context) (done bool) {
	if r.ofOthers == nil || r.leads() {
		return true
	}
	reported, ok := r.ofOthers(ctx)
	if ok {
		r.mu.Lock()
		r.reported = reported
		r.mu.Unlock()
	}
	return ok
}

// running returns the consumers of this process.
func (r *readyChecks) running() []*consumer.Consumer {
	if r.consumers == nil {
		return nil
	}
	return r.consumers()
}
