package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// ReplayRequest asks to move a consumer back, so that it handles events again.
// Exactly one of Seq and Since gives the position.
type ReplayRequest struct {
	Consumer string
	Seq      int64     // the first event to be handled again; 0: use Since
	Since    time.Time // the first event received at or after it
	DryRun   bool      // change nothing, only count
}

// ReplayResult is what was done, or would be.
type ReplayResult struct {
	Consumer string `json:"consumer"`
	Cursor   int64  `json:"cursor"` // the last event handled before
	From     int64  `json:"from"`   // the first event to be handled again
	Events   int64  `json:"events"` // events to be handled again
	DryRun   bool   `json:"dry_run"`
}

// replay answers POST /api/replay {"consumer":"log","from":17|"2h"|"2006-01-02T15:04:05Z","dry_run":true}.
func replay(d AdminDeps) http.Handler {
	type body struct {
		Consumer string          `json:"consumer"`
		From     json.RawMessage `json:"from"`
		DryRun   bool            `json:"dry_run"`
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.Replay == nil {
			notFoundProblem(w, r)
			return
		}
		var b body
		if !oneObject(w, r, &b) {
			writeProblem(w, http.StatusBadRequest, `Send one object: {"consumer":"log","from":17,"dry_run":true}.`)
			return
		}
		req := ReplayRequest{Consumer: b.Consumer, DryRun: b.DryRun}
		if req.Consumer == "" {
			writeProblem(w, http.StatusBadRequest, "consumer: the name of a consumer, such as log")
			return
		}
		if !replayFrom(&req, b.From, d.Now()) {
			writeProblem(w, http.StatusBadRequest, "from: the seq of an event, from 1, "+TimeForms)
			return
		}
		res, err := d.Replay(r.Context(), req)
		switch {
		case errors.Is(err, ErrNoConsumer):
			writeProblem(w, http.StatusNotFound, "There is no such consumer.")
		case errors.Is(err, ErrConflict):
			writeProblem(w, http.StatusConflict, "The consumer has moved in the meantime. Try again.")
		case err != nil:
			failed(w, r, d.Log, err)
		default:
			if !req.DryRun {
				d.Log.Info().Str("consumer", res.Consumer).Int64("cursor", res.Cursor).Int64("from", res.From).
					Int64("events", res.Events).Msg("consumer moved back: events will be handled again")
			}
			writeJSON(w, res)
		}
	})
}

func replayFrom(req *ReplayRequest, from json.RawMessage, now time.Time) bool {
	from = bytes.TrimSpace(from)
	if len(from) == 0 || bytes.Equal(from, []byte("null")) {
		return false
	}
	if from[0] == '"' {
		var s string
		if json.Unmarshal(from, &s) != nil {
			return false
		}
		t, ok := ParseTime(s, now)
		req.Since = t
		return ok
	}
	return json.Unmarshal(from, &req.Seq) == nil && req.Seq >= 1
}
