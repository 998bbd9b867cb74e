package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"
)

// RedeliverRequest asks to deliver events to a destination again: its dead letters, one
// event, or those received at or after From. To and Event narrow these, and all three
// narrow dead letters.
type RedeliverRequest struct {
	Destination string
	Dead        bool      // dead letters
	EventID     string    // one event
	From, To    time.Time // events received at or after From and before To; zero: no limit
	Event       string    // a pattern of names
	DryRun      bool      // only list them
}

// RedeliverResult says which events are delivered again, or would be.
type RedeliverResult struct {
	Destination string          `json:"destination"`
	DryRun      bool            `json:"dry_run"`
	Count       int             `json:"count"`  // events that are delivered again, or would be
	Events      []EventIdentity `json:"events"` // the first ones, in order of seq
	More        int             `json:"more"`   // that Events doesn't list
	Left        int             `json:"left"`   // dead letters beyond what one request may deliver again
}

// EventIdentity identifies an event.
type EventIdentity struct {
	Seq     int64  `json:"seq"`
	EventID string `json:"event_id"`
	Event   string `json:"event"`
	Skipped string `json:"skipped,omitempty"` // why it can't be redelivered
}

// MaxRedelivered is how many events a RedeliverResult lists.
const MaxRedelivered = 1000

// DiscardRequest asks to end dead letters.
type DiscardRequest struct {
	Destination string `json:"destination"` // "": of all
	EventID     string `json:"event_id"`    // "": all of them
}

// redeliver answers POST /api/redeliver.
func redeliver(d AdminDeps) http.Handler {
	const usage = `Send one object: {"destination":"billing"} with "event_id":"...", "dead":true or "from":"2h"; with "dead" perhaps also "from", with both perhaps "to" and "event"; and "dry_run":true to see which.`
	type body struct {
		Destination string `json:"destination"`
		Dead        bool   `json:"dead"`
		EventID     string `json:"event_id"`
		From        string `json:"from"`
		To          string `json:"to"`
		Event       string `json:"event"`
		DryRun      bool   `json:"dry_run"`
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.Onward.Redeliver == nil {
			notFoundProblem(w, r)
			return
		}
		var b body
		if !oneObject(w, r, &b) || b.EventID == "" && !b.Dead && b.From == "" ||
			b.EventID != "" && (b.Dead || b.From != "" || b.To != "" || b.Event != "") {
			writeProblem(w, http.StatusBadRequest, usage)
			return
		}
		if b.Destination == "" {
			writeProblem(w, http.StatusBadRequest, "destination: the name of a destination")
			return
		}
		q := RedeliverRequest{Destination: b.Destination, Dead: b.Dead, EventID: b.EventID, Event: b.Event, DryRun: b.DryRun}
		v := url.Values{"from": {b.From}, "to": {b.To}}
		var err, toErr error
		q.From, err = timeParam(v, "from", d.Now())
		q.To, toErr = timeParam(v, "to", d.Now())
		if err = errors.Join(err, toErr); err != nil {
			writeProblem(w, http.StatusBadRequest, err.Error())
			return
		}
		res, err := d.Onward.Redeliver(r.Context(), q)
		if err != nil {
			onwardFailed(w, r, d, err)
			return
		}
		if !q.DryRun && res.Count > 0 {
			d.Log.Info().Str("destination", res.Destination).Int("events", res.Count).Msg("redelivery of events requested")
		}
		res.Events = append([]EventIdentity{}, res.Events...)
		writeJSON(w, res)
	})
}

// discardDead answers POST /api/dead/discard {"destination":"billing","event_id":"..."}.
func discardDead(d AdminDeps) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.Onward.Discard == nil {
			notFoundProblem(w, r)
			return
		}
		var q DiscardRequest
		if !oneObject(w, r, &q) {
			writeProblem(w, http.StatusBadRequest, `Send one object: {"destination":"billing","event_id":"..."}; without either, all dead letters end.`)
			return
		}
		n, err := d.Onward.Discard(r.Context(), q)
		if err != nil {
			onwardFailed(w, r, d, err)
			return
		}
		if n > 0 {
			d.Log.Info().Str("destination", q.Destination).Int("dead_letters", n).Msg("dead letters discarded")
		}
		writeJSON(w, map[string]int{"discarded": n})
	})
}

// setPause answers POST /api/destinations/{name}/pause and resume.
func setPause(d AdminDeps, set func(context.Context, string) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if set == nil || d.Onward.Destinations == nil {
			notFoundProblem(w, r)
			return
		}
		name := chi.URLParam(r, "name")
		if err := set(r.Context(), name); err != nil {
			onwardFailed(w, r, d, err)
			return
		}
		list, err := d.Onward.Destinations(r.Context())
		if err != nil {
			onwardFailed(w, r, d, err)
			return
		}
		for _, one := range list {
			if one.Name == name {
				writeJSON(w, one)
				return
			}
		}
		onwardFailed(w, r, d, ErrNoDestination)
	})
}
