package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/registration"
)

const (
	attemptsSpan = 24 * time.Hour
	attemptsMost = 1000 // read; the newest come first
)

// checkAttempts explains Kazoo's recent failed attempts to deliver to us.
func (d *doctor) checkAttempts(ctx context.Context) ([]finding, bool) {
	now := time.Now()
	offset, _ := d.api.ClockOffset()
	kazoo := now.Add(offset)
	groups := map[string]*attemptGroup{}
	read := 0
	for a, err := range d.api.Attempts(ctx, d.account.ID, "", kazoo.Add(-attemptsSpan), kazoo.Add(time.Minute)) {
		if err != nil {
			f := apiFailed(err, "try again, with a longer --timeout if time was short; an account whose first month this is may have no record yet")
			f.Status = statusWarn // it causes no loss
			return one(f), true
		}
		if read++; read > attemptsMost {
			break
		}
		if a.Result == "success" || !d.ours(a) {
			continue
		}
		why := d.clean(registration.Explain(a))
		if groups[why] == nil {
			groups[why] = &attemptGroup{why: why}
		}
		groups[why].add(a, a.Time.Add(-offset))
	}
	switch {
	case len(groups) == 0 && read > attemptsMost:
		return one(fine("none of the last %d failed attempts on the account was ours", attemptsMost)), true
	case len(groups) == 0:
		return one(fine("Kazoo has recorded no failed attempt of ours in the last %s", hours(attemptsSpan))), true
	}
	var sorted []*attemptGroup
	for _, g := range groups {
		sorted = append(sorted, g)
	}
	slices.SortFunc(sorted, func(a, b *attemptGroup) int { return cmp.Or(b.last.Compare(a.last), cmp.Compare(a.why, b.why)) })
	const advice = "repair that: six failures within a minute switch the hook off. What was lost is recovered by the running service"
	var found []finding
	for _, g := range sorted {
		atLeast := ""
		if read > attemptsMost {
			atLeast = "at least "
		}
		found = append(found, warned(advice, "%s%s in the last %s (%s), the last %s ago at %s: %s", atLeast, counted(g.count, "failed attempt"), hours(attemptsSpan),
			strings.Join(g.hooks, ", "), max(now.Sub(g.last), 0).Round(time.Second), g.last.UTC().Format(time.RFC3339), g.why))
	}
	return found, true
}

// ours reports whether an attempt was made to us, also by a hook that was replaced
// since.
func (d *doctor) ours(a crossbar.Attempt) bool {
	return strings.HasPrefix(a.URI, strings.TrimRight(d.cfg.PublicURL.String(), "/")+"/kazoo/") ||
		slices.ContainsFunc(d.hooks, func(h crossbar.HookSummary) bool { return h.ID == a.HookID })
}

// attemptGroup is the failed attempts with one explanation.
type attemptGroup struct {
	why   string
	count int
	last  time.Time
	hooks []string
}

func (g *attemptGroup) add(a crossbar.Attempt, at time.Time) {
	g.count++
	if at.After(g.last) {
		g.last = at
	}
	if a.HookEvent != "" && !slices.Contains(g.hooks, a.HookEvent) {
		g.hooks = append(g.hooks, a.HookEvent)
	}
}

func hours(d time.Duration) string { return fmt.Sprintf("%d hours", int(d.Hours())) }
