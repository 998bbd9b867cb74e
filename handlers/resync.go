package handlers

import (
	"encoding/json"
	"net/http"
	"sync"
)

// ResyncRequest asks to compare Kazoo's objects with the snapshot now.
type ResyncRequest struct {
	DryRun  bool `json:"dry_run"` // report, but change nothing
	Confirm bool `json:"confirm"` // a person vouches for any number of deletions
}

// ResyncProgress tells how far a run is.
type ResyncProgress struct {
	Type     string `json:"type"`
	Account  string `json:"account"`
	Listed   int    `json:"listed"`
	Expected int    `json:"expected"` // 0: nothing is known yet
}

// ResyncResult is what a run found.
type ResyncResult struct {
	DryRun   bool           `json:"dry_run"`
	Baseline bool           `json:"baseline"` // a first look at something: it yields no events
	Listed   int            `json:"listed"`
	Deleted  []ResyncObject `json:"deleted"`
	Created  []ResyncObject `json:"created"`
	Held     bool           `json:"held"` // more deletions than the limit: none was reported
	Limit    int            `json:"limit"`
}

// ResyncObject is one object whose change Kazoo had not told us of.
type ResyncObject struct {
	Type      string `json:"type"`
	ID        string `json:"id"`
	AccountID string `json:"account_id"`
	Name      string `json:"name"`
}

// ResyncMessage is one line of the answer to /api/resync: progress now and
// then, and at the end the result or what went wrong.
type ResyncMessage struct {
	Progress *ResyncProgress `json:"progress,omitempty"`
	Result   *ResyncResult   `json:"result,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// resync answers POST /api/resync {"dry_run":true,"confirm":false} with one
// ResyncMessage a line, because a run takes as long as Kazoo's listings do.
func resync(d Deps) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.Resync == nil {
			notFoundProblem(w, r)
			return
		}
		var q ResyncRequest
		if !oneObject(w, r, &q) {
			writeProblem(w, http.StatusBadRequest, `Send one object: {"dry_run":true,"confirm":false}.`)
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		control := http.NewResponseController(w)
		var mu sync.Mutex // progress may come from other goroutines
		enc := json.NewEncoder(w)
		send := func(m ResyncMessage) {
			mu.Lock()
			defer mu.Unlock()
			extend(w, d.WriteTimeout)
			if enc.Encode(m) == nil { // the reader may have gone; the run's context ends then
				_ = control.Flush()
			}
		}
		res, err := d.Resync(r.Context(), q, func(p ResyncProgress) { send(ResyncMessage{Progress: &p}) })
		if err != nil {
			d.Log.Error().Err(err).Msg("a resync that was asked for failed")
			send(ResyncMessage{Error: err.Error()})
			return
		}
		send(ResyncMessage{Result: &res})
	})
}
