package handlers

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// ResyncRequest asks to compare Kazoo's objects with the snapshot now.
type ResyncRequest struct {
	DryRun  bool `json:"dry_run"` // report, but change nothing
	Confirm bool `json:"confirm"` // confirms any number of deletions, or with Held those alone
	// Held is the ID of the confirmed list of deletions. Objects that went missing
	// since are still held back.
	Held string `json:"held,omitempty"`
}

// ResyncProgress is the progress of a run.
type ResyncProgress struct {
	Type     string `json:"type"`
	Account  string `json:"account"`
	Listed   int    `json:"listed"`
	Expected int    `json:"expected"` // 0: not known yet
}

// ResyncResult is what a run found.
type ResyncResult struct {
	DryRun   bool           `json:"dry_run"`
	Baseline bool           `json:"baseline"` // some objects were listed for the first time: those yield no events
	Listed   int            `json:"listed"`
	Deleted  []ResyncObject `json:"deleted"`
	Created  []ResyncObject `json:"created"`
	Held     bool           `json:"held"` // more deletions than the limit: the rest of Deleted was not reported
	Limit    int            `json:"limit"`
}

// ResyncObject is one object whose change no webhook had reported.
type ResyncObject struct {
	Type      string `json:"type"`
	ID        string `json:"id"`
	AccountID string `json:"account_id"`
	Name      string `json:"name"`
}

// ResyncMessage is one line of the answer to /api/resync: progress now and then,
// and at the end the result or the error.
type ResyncMessage struct {
	Progress *ResyncProgress `json:"progress,omitempty"`
	Result   *ResyncResult   `json:"result,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// resync answers POST /api/resync {"dry_run":true,"confirm":false} with one
// ResyncMessage a line, because a run takes as long as Kazoo's listings do.
func resync(d AdminDeps) http.Handler {
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
			if enc.Encode(m) == nil { // the reader may have hung up; the run's context ends then
				_ = control.Flush()
			}
		}
		res, err := d.Resync(r.Context(), q, func(p ResyncProgress) { send(ResyncMessage{Progress: &p}) })
		if err != nil {
			d.Log.Error().Err(err).Msg("a requested resync failed")
			send(ResyncMessage{Error: err.Error()})
			return
		}
		send(ResyncMessage{Result: &res})
	})
}

// HeldDeletions are the deletions that a comparison held back because there were
// too many to report without confirmation.
type HeldDeletions struct {
	ID      string         `json:"id"` // identifies exactly this list; empty if there is none
	Since   time.Time      `json:"since,omitzero"`
	Count   int            `json:"count"`
	Limit   int            `json:"limit"`   // most deletions of a type that are reported without confirmation
	Types   map[string]int `json:"types"`   // how many of each type
	Objects []ResyncObject `json:"objects"` // in an answer the first of them; in the call all
}

// maxHeldShown bounds the list of one answer.
const maxHeldShown = 1000

// held answers GET /api/resync.
func held(d AdminDeps) http.Handler {
	if d.Held == nil {
		return http.HandlerFunc(notFoundProblem)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := d.Held()
		h.Types = map[string]int{}
		for i := range h.Objects {
			h.Types[h.Objects[i].Type]++
		}
		h.Objects = append([]ResyncObject{}, h.Objects[:min(len(h.Objects), maxHeldShown)]...)
		writeJSON(w, h)
	})
}
