package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/registration"
)

// slowAnswer is the latency that points to a problem in Kazoo or the network.
const slowAnswer = 2 * time.Second

// checkAPI sends the API a request that needs no login.
func (d *doctor) checkAPI(ctx context.Context) ([]finding, bool) {
	if d.apiErr != nil {
		return one(broken("correct the KAZOO_ settings", "%v", d.apiErr)), false
	}
	began := time.Now()
	offered, err := d.api.Offered(ctx)
	if err != nil {
		return one(apiFailed(err, "check KAZOO_API_URL, and that Kazoo's API runs")), false
	}
	d.offered = offered
	took := time.Since(began)
	base, text := d.cfg.KazooAPIURL.Redacted(), took.Round(time.Millisecond)
	if took > slowAnswer {
		return one(warned("look at the load of Kazoo's servers and at the network between", "%s took %s to answer", base, text)), true
	}
	return one(fine("%s answered in %s", base, text)), true
}

// apiFailed splits an error of the API into the error and its hint, if there is
// one.
func apiFailed(err error, advice string) finding {
	text := err.Error()
	if errors.Is(err, context.DeadlineExceeded) && !strings.Contains(text, "KAZOO_API_RATE") {
		text = strings.ReplaceAll(text, context.DeadlineExceeded.Error(), "no answer in time")
		advice = "Kazoo is down or slow, or a firewall drops our packets: " + advice
	}
	var e *crossbar.Error
	if i := strings.LastIndex(text, "; "); errors.As(err, &e) && e.Detail == nil && i > 0 {
		return broken(text[i+2:], "%s", text[:i])
	}
	return broken(advice, "%s", text)
}

// checkClock compares Kazoo's clock with ours: times of recovered events and
// the life of tokens depend on it.
func (d *doctor) checkClock(context.Context) ([]finding, bool) {
	const most = 30 * time.Second
	offset, known := d.api.ClockOffset()
	if !known {
		return one(skipped("Kazoo's answers carry no date")), true
	}
	abs, side := offset.Abs().Round(time.Second), "ahead of"
	if offset < 0 {
		side = "behind"
	}
	if abs > most {
		return one(warned("set both clocks by NTP", "Kazoo's clock is %s %s ours", abs, side)), true
	}
	return one(fine("Kazoo's clock and ours agree to %s", max(abs, time.Second))), true
}

func (d *doctor) checkLogin(ctx context.Context) ([]finding, bool) {
	account, err := d.api.Login(ctx)
	if err != nil {
		return one(apiFailed(err, "check the login's settings: KAZOO_USERNAME, KAZOO_PASSWORD, KAZOO_ACCOUNT_NAME and the like")), false
	}
	d.account = account
	return one(fine("logged in to account %q (%s)", account.Name, account.ID)), true
}

// checkAccount compares the login's account with the one to register on. Listing
// the hooks shows whether the login may use it.
func (d *doctor) checkAccount(context.Context) ([]finding, bool) {
	if id := d.cfg.KazooAccountID; id != "" && id != d.account.ID {
		login := d.account
		d.account = crossbar.Account{ID: id}
		return one(fine("hooks are registered on account %s (KAZOO_ACCOUNT_ID), another than the login's, %q", id, login.Name)), true
	}
	return one(fine("hooks are registered on the login's account, %q (%s)", d.account.Name, d.account.ID)), true
}

// checkOffered compares HOOKS with what the cluster offers.
func (d *doctor) checkOffered(context.Context) ([]finding, bool) {
	specs, problems := registration.Expand(hookSpecs(d.cfg), d.offered, nil)
	if len(problems) == 0 {
		return one(fine("HOOKS %s: offered, %s to register", d.cfg.Hooks, counted(len(specs), "hook"))), true
	}
	var found []finding
	for _, p := range problems {
		found = append(found, broken("correct HOOKS, or have Kazoo's operator start what is missing", "%s", p))
	}
	return found, true
}

// checkSamples decodes every sample payload of the cluster like a delivered event.
func (d *doctor) checkSamples(ctx context.Context) ([]finding, bool) {
	samples, err := d.api.Samples(ctx)
	switch {
	case crossbar.IsNotFound(err), err == nil && len(samples) == 0:
		return one(skipped("this Kazoo serves no samples")), true
	case err != nil:
		f := apiFailed(err, "try again, with a longer --timeout if time was short")
		f.Status = statusWarn // the service doesn't need it
		return one(f), true
	}
	total := 0
	var found []finding
	for _, id := range slices.Sorted(maps.Keys(samples)) {
		for i, raw := range samples[id] {
			total++
			if problem := decodeSample(id, raw); problem != "" {
				found = append(found, warned("such events are kept raw but not typed: report the sample to kazoohook's developers",
					"sample %d of %q is not understood: %s", i+1, id, problem))
			}
		}
	}
	what := fmt.Sprintf("%s of %s", counted(total, "sample"), counted(len(samples), "hook"))
	if found == nil {
		return one(fine("%s, 0 not understood", what)), true
	}
	bad := len(found)
	const most = 10
	return append(found[:min(bad, most)], warned("see above", "%s, %d not understood", what, bad)), true
}

// decodeSample returns the problems of decoding a sample.
func decodeSample(id string, raw json.RawMessage) string {
	r := event.Route(event.Request{
		Source: event.SourceWebhook, ReceivedAt: time.Now().UTC(), Hook: strings.TrimPrefix(id, "webhooks_"), HookID: id,
		Method: http.MethodPost, ContentType: "application/json", Body: raw,
	})
	problems := event.Decode(r).Problems
	if r.Event == event.Unknown && len(problems) == 0 {
		problems = []string{"the event is unknown"}
	}
	return strings.Join(problems, "; ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
