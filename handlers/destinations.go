package handlers

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
)

// Onward is what the handlers about destinations depend on. The route of a nil
// function answers 404.
type Onward struct {
	// Destinations lists the configured ones, by name.
	Destinations func(context.Context) ([]Destination, error)
	// Removed lists those that are no longer configured but whose state is kept.
	Removed func(context.Context) ([]Destination, error)
	// Dead lists dead letters by seq, at most Limit of them.
	Dead func(context.Context, DeadQuery) ([]DeadLetter, error)
	// Deliveries lists the state of one event at each destination.
	Deliveries func(ctx context.Context, seq int64) ([]Delivery, error)
	// Accounts lists the known tree of accounts.
	Accounts func(context.Context) ([]Account, error)

	// Pause stops a destination until Resume.
	Pause, Resume func(ctx context.Context, name string) error
	// Redeliver delivers events to a destination again.
	Redeliver func(context.Context, RedeliverRequest) (RedeliverResult, error)
	// Discard ends dead letters and returns how many there were.
	Discard func(context.Context, DiscardRequest) (int, error)
}

// Errors of Onward's functions, wrapped or not, that are not answered with 500.
var (
	ErrNoDestination = errors.New("no such destination")
	ErrNoEvent       = errors.New("no such event")
	// ErrRefused refuses a request that can't be done as asked; its text is shown.
	ErrRefused = errors.New("not possible")
)

// Destination is one destination and its state.
type Destination struct {
	Name                 string  `json:"name"`
	Type                 string  `json:"type"`
	State                string  `json:"state"` // ok, retrying, paused; removed of one that is no longer configured
	Waiting              int64   `json:"waiting"`
	Dead                 int64   `json:"dead"`
	OldestWaitingSeconds float64 `json:"oldest_waiting_seconds"`
	LastError            string  `json:"last_error"` // of the last attempt; empty if it succeeded

	PausedBy    string    `json:"paused_by,omitempty"` // failures, operator, recipient
	Since       time.Time `json:"since,omitzero"`      // when it was paused or resumed
	RemovedAt   time.Time `json:"removed_at,omitzero"` // when it was no longer configured
	Address     string    `json:"address,omitempty"`   // where it delivers to, without secrets
	Delivered   int64     `json:"delivered"`           // events that it has accepted
	PerMinute   float64   `json:"per_minute"`          // recent rate of those
	LastAt      time.Time `json:"last_at,omitzero"`    // when the last attempt began
	LastStatus  string    `json:"last_status,omitempty"`
	LastExcerpt string    `json:"last_excerpt,omitempty"` // the beginning of its answer
}

// DeadQuery selects dead letters.
type DeadQuery struct {
	Destination string // "": of all
	After       int64  // only of events after that seq
	Limit       int
}

// DeadLetter is an event that a destination did not accept.
type DeadLetter struct {
	Destination string    `json:"destination"`
	EventID     string    `json:"event_id"`
	Seq         int64     `json:"seq"`
	Event       string    `json:"event"`
	Attempts    int       `json:"attempts"`
	LastError   string    `json:"last_error"`
	At          time.Time `json:"at"`                // of the last attempt
	NoBody      bool      `json:"no_body,omitempty"` // the event's body is no longer kept: it can't be redelivered
}

// Delivery is the state of an event at one destination.
type Delivery struct {
	Destination string    `json:"destination"`
	State       string    `json:"state"` // waiting, dead, delivered, discarded
	Attempts    int       `json:"attempts"`
	Due         time.Time `json:"due,omitzero"` // of the next attempt
	LastError   string    `json:"last_error,omitempty"`
	Redelivered bool      `json:"redelivered,omitempty"`
	NoBody      bool      `json:"no_body,omitempty"`
	History     []Attempt `json:"history"` // oldest first
}

// Attempt is one attempt at a delivery.
type Attempt struct {
	N      int       `json:"n"`
	At     time.Time `json:"at"`
	TookMS float64   `json:"took_ms"`
	Status string    `json:"status,omitempty"`
	Error  string    `json:"error,omitempty"` // empty: it succeeded
}

// Account is where an account is in Kazoo's tree.
type Account struct {
	ID        string   `json:"account_id"`
	Ancestors []string `json:"ancestors"` // from the topmost account down
}

// listDestinations answers /api/destinations?removed=.
func listDestinations(d AdminDeps) http.Handler {
	configured, all := onwardList(d, d.Onward.Destinations), onwardList(d, d.Onward.withRemoved)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		removed, err := flagParam(r.URL.Query(), "removed")
		switch {
		case err != nil:
			writeProblem(w, http.StatusBadRequest, err.Error())
		case removed && d.Onward.Removed != nil:
			all.ServeHTTP(w, r)
		default:
			configured.ServeHTTP(w, r)
		}
	})
}

// withRemoved lists all destinations whose state is kept, configured ones first.
func (o *Onward) withRemoved(ctx context.Context) ([]Destination, error) {
	list, err := o.Destinations(ctx)
	if err != nil {
		return nil, err
	}
	removed, err := o.Removed(ctx)
	return append(list, removed...), err
}

// listAccounts answers /api/accounts.
func listAccounts(d AdminDeps) http.Handler { return onwardList(d, d.Onward.Accounts) }

func onwardList[T any](d AdminDeps, list func(context.Context) ([]T, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if list == nil {
			notFoundProblem(w, r)
			return
		}
		found, err := list(r.Context())
		if err != nil {
			failed(w, r, d.Log, err)
			return
		}
		writeJSON(w, append([]T{}, found...))
	})
}

const (
	deadDefault = 1000
	deadMost    = 10_000
)

// listDead answers /api/dead?destination=&after=&limit=.
func listDead(d AdminDeps) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.Onward.Dead == nil {
			notFoundProblem(w, r)
			return
		}
		v := r.URL.Query()
		after, err := seqParam(v, "after")
		limit, limitErr := limitParam(v, deadDefault, deadMost)
		if err = errors.Join(err, limitErr); err != nil {
			writeProblem(w, http.StatusBadRequest, err.Error())
			return
		}
		found, err := d.Onward.Dead(r.Context(), DeadQuery{Destination: v.Get("destination"), After: after, Limit: limit})
		if err != nil {
			onwardFailed(w, r, d, err)
			return
		}
		writeJSON(w, append([]DeadLetter{}, found...))
	})
}

// eventDeliveries answers /api/events/{seq}/deliveries.
func eventDeliveries(d AdminDeps) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.Onward.Deliveries == nil {
			notFoundProblem(w, r)
			return
		}
		seq, err := strconv.ParseInt(chi.URLParam(r, "seq"), 10, 64)
		if err != nil || seq < 1 {
			writeProblem(w, http.StatusBadRequest, "The seq of an event is a number from 1.")
			return
		}
		list, err := d.Onward.Deliveries(r.Context(), seq)
		if err != nil {
			failed(w, r, d.Log, err)
			return
		}
		for i := range list {
			list[i].History = append([]Attempt{}, list[i].History...)
		}
		writeJSON(w, append([]Delivery{}, list...))
	})
}

// onwardFailed answers an error of Onward.
func onwardFailed(w http.ResponseWriter, r *http.Request, d AdminDeps, err error) {
	switch {
	case errors.Is(err, ErrNoDestination):
		writeProblem(w, http.StatusNotFound, "There is no destination of this name.")
	case errors.Is(err, ErrNoEvent):
		writeProblem(w, http.StatusNotFound, "There is no event of this id, or it is past its retention.")
	case errors.Is(err, ErrRefused):
		writeProblem(w, http.StatusConflict, err.Error())
	default:
		failed(w, r, d.Log, err)
	}
}
