package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"kazoohook/handlers"
	"kazoohook/internal/cluster"
	"kazoohook/internal/consumer"
	"kazoohook/internal/journal"
	"kazoohook/registration"
)

// clusterCheck fails when the cluster can't take requests or has no leader, when a
// node is missing, or when this one doesn't do all of its work.
func clusterCheck(s handlers.ClusterStatus) handlers.Check {
	c := handlers.Check{Name: "cluster"}
	var away []string
	for _, n := range s.Nodes {
		if n.Member && !n.Alive {
			away = append(away, n.Name)
		}
	}
	switch {
	case s.Problem != "" || s.State == string(cluster.StateWaiting) || s.State == string(cluster.StateCopying):
		c.Reason = "this node of the cluster " + doing(s.State)
		c.Detail = because("node "+s.Node+" "+doing(s.State), s.Problem)
	case !s.Quorum:
		c.Reason = "the cluster has no quorum: events can't be kept"
		c.Detail = fmt.Sprintf("%d of %d nodes are connected, which is less than a quorum: Kazoo is asked to send events again. Start the other nodes, and look at the network between them (CLUSTER_PEERS)", alive(s), s.Size)
	case s.Leader == "":
		c.Reason = "the cluster has no leader"
		c.Detail = "the cluster has no leader: events are taken, but nothing is printed or delivered, and hooks are not checked. A new one is elected within 20 seconds, unless the nodes' settings differ: see kazoohook cluster"
	case len(away) > 0:
		c.Reason = "a node of the cluster is missing"
		c.Detail = fmt.Sprintf("not connected: %s. The cluster goes on without; start the node, or, if it is lost for good, kazoohook cluster remove %s, so that another can take its place", strings.Join(away, ", "), away[0])
	default:
		c.OK = true
	}
	return c
}

// doing describes the state of a node that doesn't do all of its work.
func doing(state string) string {
	switch cluster.State(state) {
	case cluster.StateWaiting:
		return "is waiting to join it"
	case cluster.StateCopying:
		return "is copying the journal"
	case cluster.StateRefused:
		return "can't join it with this journal"
	case cluster.StateLost:
		return "can't find the log that its journal follows"
	case cluster.StateDiverged:
		return "has another journal than the others"
	case cluster.StateSettings:
		return "has other settings than the cluster"
	case cluster.StateReady:
	}
	return "isn't ready"
}

// journalCheck fails when events can't be stored, or when the journal is damaged.
func journalCheck(err, trouble error) handlers.Check {
	switch {
	case err == nil && trouble == nil:
		return handlers.Check{Name: "journal", OK: true}
	case errors.Is(trouble, journal.ErrCorrupt) && err == nil:
		return handlers.Check{Name: "journal", Reason: "the journal is damaged",
			Detail: fmt.Sprintf("events are taken, and all that can be read are delivered, but: %v", trouble)}
	case err == nil:
		return handlers.Check{Name: "journal", Reason: "some requests could not be understood by a fault of this program", Detail: trouble.Error()}
	}
	if errors.Is(err, errJoining) {
		return handlers.Check{Name: "journal", Reason: "events can't be kept: " + errJoining.Error(),
			Detail: fmt.Sprintf("events can't be kept: %v. Kazoo is asked to send them again. The check cluster says what the node waits for", err)}
	}
	if errors.Is(err, journal.ErrStalled) {
		return handlers.Check{Name: "journal", Reason: "events can't be kept: the disk does not answer",
			Detail: fmt.Sprintf("events can't be kept: %v. Kazoo is asked to send them again. Look at the storage of DATA_DIR; no restart is needed", err)}
	}
	return handlers.Check{Name: "journal", Reason: "events can't be kept",
		Detail: fmt.Sprintf("events can't be kept: %v. Kazoo is asked to send them again. Make room on the disk of DATA_DIR, or make it writable; no restart is needed", err)}
}

// kazooCheck fails when it is unknown whether the hooks fire.
func (r *readyChecks) kazooCheck(s registration.Status, now time.Time) handlers.Check {
	limit := max(3*r.interval, unknownAtLeast)
	known := s.OKAt
	if known.IsZero() {
		known = r.started
	}
	account := s.AccountID
	if s.AccountName != "" {
		account = s.AccountName
	}
	c := handlers.Check{Name: "kazoo"}
	switch {
	case s.Cause == registration.CauseAccount:
		c.Reason = "the Kazoo account is deleted"
		c.Detail = fmt.Sprintf("Kazoo says that the account %s doesn't exist; its hooks were deleted with it. "+
			"If that was meant, stop this service; otherwise create the account, set it (KAZOO_ACCOUNT_NAME or KAZOO_ACCOUNT_ID) and restart (%s)", account, s.Error)
	case s.Cause == registration.CauseLogin:
		c.Reason = "Kazoo refuses the login: its account may be deleted, and nobody knows whether the hooks fire"
		c.Detail = c.Reason + ". Look whether the account and its user or API key still exist, correct the login and restart: " + s.Error
	case s.Cause == registration.CauseKeys:
		c.Reason = "the keys with which Kazoo signs can't be read from DATA_DIR"
		c.Detail = c.Reason + ". The last known ones stay in use, and the hooks are checked all the same: " + s.Error
	case now.Sub(known) < limit:
		return handlers.Check{Name: "kazoo", OK: true}
	case r.journal.Health() != nil:
		c.Reason, c.Since = "nobody knows whether the hooks fire: their check waits for the journal", known
		c.Detail = c.Reason + ": " + r.journal.Health().Error()
	default:
		c.Reason, c.Since = "nobody knows whether the hooks fire: Kazoo's API could not be asked", known
		c.Detail = because(c.Reason+". Check KAZOO_API_URL and the way to it; kazoohook doctor looks at each step", s.Error)
	}
	return c
}

// because adds an error to a text, if there is one.
func because(text, err string) string {
	if err == "" {
		return text
	}
	return text + ": " + err
}

// hooksCheck fails when a wanted hook doesn't fire, as of the last pass.
func hooksCheck(s registration.Status) handlers.Check {
	ok, why := s.Ready()
	switch {
	case ok && len(s.Hooks) > 0:
		return handlers.Check{Name: "hooks", OK: true}
	case ok:
		return handlers.Check{Name: "hooks", Reason: "no hook is registered",
			Detail: "no hook is registered: Kazoo offers none of those that HOOKS names. It is asked again at the next pass"}
	case s.OKAt.IsZero() && len(s.Hooks) == 0:
		const yet = "the hooks have not been checked yet"
		return handlers.Check{Name: "hooks", Reason: yet, Detail: because(yet, s.Error)}
	}
	c := handlers.Check{Name: "hooks", Reason: "not every hook is registered and enabled", Detail: why}
	for _, h := range s.Hooks {
		if (h.ID == "" || !h.Enabled) && !h.LastGood.IsZero() && (c.Since.IsZero() || h.LastGood.Before(c.Since)) {
			c.Since = h.LastGood // it may have been off ever since
		}
	}
	return c
}

// consumersCheck fails when a consumer is stuck.
func consumersCheck(consumers []*consumer.Consumer, now time.Time) handlers.Check {
	var stuck []string
	var first time.Time
	for _, c := range consumers {
		since, err := c.Stuck(now, stuckAfter)
		if err == nil {
			continue
		}
		stuck = append(stuck, fmt.Sprintf("%s: %v", c.Name(), err))
		if first.IsZero() || since.Before(first) {
			first = since
		}
	}
	if len(stuck) == 0 {
		return handlers.Check{Name: "consumers", OK: true}
	}
	return handlers.Check{Name: "consumers", Reason: "events wait because a consumer is stuck", Since: first,
		Detail: "events wait, kept, because a consumer is stuck; " + strings.Join(stuck, "; ")}
}

// objectsCheck fails if objects can't be read from Kazoo: then a deletion without
// an event can't be found.
func (r *readyChecks) objectsCheck(now time.Time) handlers.Check {
	const named = 3
	var why []string
	var first time.Time
	if r.failing == nil {
		return handlers.Check{Name: "objects", OK: true}
	}
	for _, f := range r.failing() {
		if now.Sub(f.Since) < failingAfter {
			continue
		}
		why = append(why, fmt.Sprintf("%s objects of account %s since %s: %s", f.Type, f.Account, f.Since.UTC().Format(time.RFC3339), f.Error))
		if first.IsZero() || f.Since.Before(first) {
			first = f.Since
		}
	}
	if len(why) == 0 {
		return handlers.Check{Name: "objects", OK: true}
	}
	more := ""
	if n := len(why) - named; n > 0 {
		why, more = why[:named], fmt.Sprintf("; and %d more, see /api/hooks", n)
	}
	return handlers.Check{Name: "objects", Reason: "Kazoo can't be asked for the objects of some accounts", Since: first,
		Detail: "Kazoo can't be asked for some objects, so a deletion that no webhook reports is not found there; everything else goes on. " +
			"Look at Kazoo's log, or at the rights of the login; it is tried again by itself. " + strings.Join(why, "; ") + more}
}

// attemptsCheck fails if Kazoo's record of failed attempts can't be read.
func (r *readyChecks) attemptsCheck(now time.Time) handlers.Check {
	var s registration.RecoverStats
	if r.recovered != nil {
		s = r.recovered()
	}
	if s.FailingSince.IsZero() || now.Sub(s.FailingSince) < failingAfter {
		return handlers.Check{Name: "attempts", OK: true}
	}
	return handlers.Check{Name: "attempts", Reason: "Kazoo's record of failed attempts can't be read", Since: s.FailingSince,
		Detail: "Kazoo's record of failed attempts can't be read, so what Kazoo could not deliver is not recovered; everything else goes on. " +
			"Look at Kazoo's log, or at the rights of the login; it is tried again by itself. " + s.Error}
}
