package handlers

import (
	"net/http"
	"time"
)

// Overview is the answer of /api/hooks: our hooks, and what was recovered after
// outages.
type Overview struct {
	Registration Registration   `json:"registration"`
	Failures     map[string]int `json:"failures_last_minute"` // by hook id; Kazoo switches a hook off at FailureLimit
	FailureLimit int            `json:"failure_limit"`
	LastDelivery time.Time      `json:"last_delivery,omitzero"`
	Gaps         int            `json:"gaps"` // outages found since the start
	Recover      RecoverStats   `json:"recover"`
	Resync       ResyncStats    `json:"resync"`
}

// Registration is what the last pass over our hooks found.
type Registration struct {
	AccountID   string       `json:"account_id"`
	AccountName string       `json:"account_name,omitempty"`
	CheckedAt   time.Time    `json:"checked_at,omitzero"` // end of the last pass
	OKAt        time.Time    `json:"ok_at,omitzero"`      // end of the last pass without an error
	Error       string       `json:"error,omitempty"`     // of the last pass
	Cause       string       `json:"cause,omitempty"`     // of Error, if the operator has to act: account_gone, login_refused, keys_unread
	Problems    []string     `json:"problems,omitempty"`  // entries of HOOKS that can't be registered, and why
	Hooks       []HookStatus `json:"hooks"`               // one per desired hook
	Repairs     int          `json:"repairs"`             // hooks found off or missing and repaired since the start

	Runs     int           `json:"runs"`     // passes since the start
	Failures int           `json:"failures"` // passes that failed
	Took     time.Duration `json:"took_ns"`  // by all passes together
}

// HookStatus is a desired hook and its state in Kazoo.
type HookStatus struct {
	Name          string    `json:"name"`
	Hook          string    `json:"hook"`
	CustomData    string    `json:"custom_data,omitempty"`
	Purpose       string    `json:"purpose,omitempty"` // of a hook that HOOKS doesn't name
	ID            string    `json:"id,omitempty"`      // empty: not registered
	Enabled       bool      `json:"enabled"`
	DisableReason string    `json:"disable_reason,omitempty"`
	LastGood      time.Time `json:"last_good,omitzero"` // last seen registered and enabled
	Repairs       int       `json:"repairs"`            // times it was found off or missing and was repaired since the start
}

// RecoverStats counts what was read back from Kazoo's failed attempts since the
// start.
type RecoverStats struct {
	Runs          int       `json:"runs"`
	Failures      int       `json:"failures"`            // runs that failed
	Recovered     int       `json:"recovered"`           // lost events appended
	Held          int       `json:"held"`                // failed in Kazoo's record, but in the journal
	Unrecoverable int       `json:"unrecoverable"`       // lost events whose body Kazoo doesn't keep (GET hooks)
	ArchivedGaps  int       `json:"archived_gaps"`       // months whose record Kazoo no longer has
	CheckedTo     time.Time `json:"checked_to,omitzero"` // the record was read up to here

	// While the record can't be read although the hooks can.
	FailingSince time.Time `json:"failing_since,omitzero"`
	Error        string    `json:"error,omitempty"`
}

// ResyncStats counts what comparisons of Kazoo's objects found since the start.
type ResyncStats struct {
	Runs            int           `json:"runs"`
	Failures        int           `json:"failures"` // runs that failed
	Took            time.Duration `json:"took_ns"`  // by all runs together
	Deleted         int           `json:"deleted"`  // events appended
	Created         int           `json:"created"`
	Unconfirmed     int           `json:"unconfirmed"`      // missing from a listing, but found by a look-up for
	AwaitingConfirm int           `json:"awaiting_confirm"` // deletions held back until a person confirms them
	LastOK          time.Time     `json:"last_ok,omitzero"` // end of the last complete run
	Failing         []Failing     `json:"failing"`          // what can't be listed now
}

// Failing is a listing that fails at present: the objects of one type in one
// account.
type Failing struct {
	Account string    `json:"account"`
	Type    string    `json:"type"`
	Since   time.Time `json:"since"`
	Error   string    `json:"error"`
}

// FailureGroup counts the failed attempts of one hook for one reason.
type FailureGroup struct {
	HookID   string    `json:"hook_id"`
	Hook     string    `json:"hook"`
	Why      string    `json:"why"` // the reason and what to do; Kazoo's words in quotes
	Attempts int       `json:"attempts"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

// Consumer is a named reader of the journal.
type Consumer struct {
	Name       string  `json:"name"`
	Cursor     int64   `json:"cursor"`      // seq of the last event it has handled
	Lag        int64   `json:"lag"`         // events after that
	LagSeconds float64 `json:"lag_seconds"` // age of the oldest of them, 0 if there is none

	StuckSince time.Time `json:"stuck_since,omitzero"` // no progress since then
	Error      string    `json:"error,omitempty"`      // why
}

// overview answers /api/hooks.
func overview(d AdminDeps) http.Handler {
	if d.Hooks == nil {
		return http.HandlerFunc(notFoundProblem)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, d.Hooks()) })
}

// attempts answers /api/attempts.
func attempts(d AdminDeps) http.Handler {
	if d.Attempts == nil {
		return http.HandlerFunc(notFoundProblem)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, append([]FailureGroup{}, d.Attempts()...))
	})
}

// consumers answers /api/consumers.
func consumers(d AdminDeps) http.Handler {
	if d.Consumers == nil {
		return http.HandlerFunc(notFoundProblem)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		list, err := d.Consumers(r.Context())
		if err != nil {
			failed(w, r, d.Log, err)
			return
		}
		writeJSON(w, append([]Consumer{}, list...))
	})
}
