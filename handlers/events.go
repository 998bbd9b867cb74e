package handlers

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"kazoohook/internal/event"
)

const (
	jsonDefault = 100
	jsonMost    = 1000
	linesMost   = 100_000
	// jsonBytes bounds one JSON answer, whatever the limit: an event may be as
	// large as a body. What doesn't fit is behind the cursor.
	jsonBytes = 8 << 20
	// pageSize is how many records are in memory at once.
	pageSize = 100
)

// listEvents answers /api/events: the history, newest first, as JSON with a
// cursor or, where the client accepts application/x-ndjson or asks for
// format=ndjson, as one event a line.
func listEvents(d Deps) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		values := r.URL.Query()
		q, err := queryParams(values, d.Now())
		if err != nil {
			writeProblem(w, http.StatusBadRequest, err.Error())
			return
		}
		fallback, most := jsonDefault, jsonMost
		lines := wantsLines(r)
		if lines {
			fallback, most = linesMost, linesMost
		}
		limit, err := limitParam(values, fallback, most)
		if err != nil {
			writeProblem(w, http.StatusBadRequest, err.Error())
			return
		}
		p := pager{history: d.History, query: q, left: limit}
		if lines {
			writeLines(w, r, d, &p)
			return
		}
		writePage(w, r, d, &p)
	})
}

func wantsLines(r *http.Request) bool {
	switch r.URL.Query().Get("format") {
	case "ndjson":
		return true
	case "json":
		return false
	}
	return strings.Contains(r.Header.Get("Accept"), "application/x-ndjson")
}

// pager reads a query page by page, so that no answer holds more than one page
// of raw bodies in memory. The journal may cut a page short where events are
// large: only an empty one is the end.
type pager struct {
	history History
	query   event.Query
	left    int
}

// next returns the next page, empty at the end.
func (p *pager) next(ctx context.Context) ([]event.Record, error) {
	if p.left <= 0 {
		return nil, nil
	}
	p.query.Limit = min(p.left, pageSize)
	records, err := p.history.Query(ctx, p.query)
	if err != nil {
		return nil, err
	}
	p.left -= len(records)
	if len(records) > 0 {
		p.from(records[len(records)-1].Seq)
	}
	return records, nil
}

// more reports whether there is anything behind the event with that seq.
func (p *pager) more(ctx context.Context, seq int64) (bool, error) {
	p.from(seq)
	p.query.Limit = 1
	records, err := p.history.Query(ctx, p.query)
	return len(records) > 0, err
}

// from lets the query go on behind the event with that seq.
func (p *pager) from(seq int64) {
	if p.query.OldestFirst {
		p.query.After = seq
	} else {
		p.query.Before = seq
	}
}

func writePage(w http.ResponseWriter, r *http.Request, d Deps, p *pager) {
	b := []byte(`{"events":[`)
	var last int64
	full := false
	for !full {
		records, err := p.next(r.Context())
		if err != nil {
			failed(w, r, d.Log, err)
			return
		}
		if len(records) == 0 {
			break
		}
		for _, rec := range records {
			if full = len(b) > jsonBytes; full {
				break
			}
			if last != 0 {
				b = append(b, ',')
			}
			b = appendEvent(b, d, rec)
			last = rec.Seq
		}
	}
	next := ""
	if full || last != 0 && p.left == 0 {
		more, err := p.more(r.Context(), last)
		if err != nil {
			failed(w, r, d.Log, err)
			return
		}
		if more {
			next = strconv.FormatInt(last, 10)
		}
	}
	b = append(b, `],"next":"`+next+"\"}\n"...)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // the reader may have gone
}

func writeLines(w http.ResponseWriter, r *http.Request, d Deps, p *pager) {
	control := http.NewResponseController(w)
	var b []byte
	for begun := false; ; begun = true {
		records, err := p.next(r.Context())
		switch {
		case err != nil && !begun:
			failed(w, r, d.Log, err)
			return
		case err != nil:
			// An answer cut short must not look complete.
			d.Log.Error().Err(err).Msg("reading events failed in the middle of an answer")
			panic(http.ErrAbortHandler)
		}
		if !begun {
			w.Header().Set("Content-Type", "application/x-ndjson")
			w.WriteHeader(http.StatusOK)
		}
		if len(records) == 0 {
			return
		}
		b = b[:0]
		for _, rec := range records {
			b = append(appendEvent(b, d, rec), '\n')
		}
		extend(w, d.WriteTimeout)
		if _, err := w.Write(b); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
	}
}

func appendEvent(dst []byte, d Deps, rec event.Record) []byte {
	return decode(d, rec).AppendJSON(dst)
}

func decode(d Deps, rec event.Record) event.Event {
	e := event.Describe(rec)
	if d.Enrich != nil {
		d.Enrich(&e)
	}
	return e
}

// oneEvent answers /api/events/{seq}: the typed event, the raw body with its
// secrets masked, and how it was delivered.
func oneEvent(d Deps) http.Handler {
	type raw struct {
		ContentType string `json:"content_type"`
		Size        int    `json:"size"`               // of the body as received
		Encoding    string `json:"encoding,omitempty"` // "base64" where the body is not UTF-8
		Body        string `json:"body"`
	}
	type firing struct {
		ID    string    `json:"id"`
		First time.Time `json:"first"`
		Last  time.Time `json:"last"`
	}
	type delivery struct {
		Method        string  `json:"method"`
		Hook          string  `json:"hook"`
		HookID        string  `json:"hook_id,omitempty"`
		HookAccountID string  `json:"hook_account_id,omitempty"`
		RemoteAddr    string  `json:"remote_addr,omitempty"`
		Firing        *firing `json:"firing,omitempty"`
	}
	type body struct {
		Event    json.RawMessage `json:"event"`
		Message  string          `json:"message"`
		Problems []string        `json:"problems"`
		Raw      raw             `json:"raw"`
		Delivery delivery        `json:"delivery"`
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seq, err := strconv.ParseInt(chi.URLParam(r, "seq"), 10, 64)
		if err != nil || seq < 1 {
			writeProblem(w, http.StatusBadRequest, "The seq of an event is a number from 1.")
			return
		}
		found, err := d.History.Query(r.Context(), event.Query{After: seq - 1, OldestFirst: true, Limit: 1})
		if err != nil {
			failed(w, r, d.Log, err)
			return
		}
		if len(found) == 0 || found[0].Seq != seq {
			writeProblem(w, http.StatusNotFound, "There is no such event, or it is past its retention.")
			return
		}
		rec := found[0]
		e := decode(d, rec)
		b := body{
			Event: e.AppendJSON(nil), Message: e.Message(), Problems: append([]string{}, e.Problems...),
			Raw: raw{ContentType: rec.ContentType, Size: len(rec.Body)},
			Delivery: delivery{
				Method: rec.Method, Hook: rec.Hook, HookID: rec.HookID,
				HookAccountID: rec.HookAccountID, RemoteAddr: rec.RemoteAddr,
			},
		}
		masked := event.MaskBody(rec.ContentType, rec.Body)
		if utf8.Valid(masked) {
			b.Raw.Body = string(masked)
		} else {
			b.Raw.Encoding, b.Raw.Body = "base64", base64.StdEncoding.EncodeToString(masked)
		}
		if f := rec.Firing; f.ID != "" {
			b.Delivery.Firing = &firing{ID: f.ID, First: f.First, Last: f.Last}
		}
		writeJSON(w, b)
	})
}
