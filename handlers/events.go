package handlers

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"kazoohook/internal/event"
)

const (
	jsonDefault  = 100
	jsonMost     = 1000
	linesDefault = 100_000
	exportMost   = 10_000_000
	// jsonBytes bounds one JSON answer whatever the limit, because events may be
	// large. The cursor leads to the rest.
	jsonBytes = 8 << 20
	// pageSize is the most records in memory at once.
	pageSize = 100
)

// listEvents answers /api/events: the history, newest first, as JSON with a cursor,
// as lines or as a table (formatOf).
func listEvents(d AdminDeps) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		values := r.URL.Query()
		q, err := queryParams(values, d.Now())
		if err != nil {
			writeProblem(w, http.StatusBadRequest, err.Error())
			return
		}
		format := formatOf(r)
		fallback, most := jsonDefault, jsonMost
		switch format {
		case formatLines:
			fallback, most = linesDefault, exportMost
		case formatCSV:
			fallback, most = exportMost, exportMost
		}
		limit, err := limitParam(values, fallback, most)
		if err != nil {
			writeProblem(w, http.StatusBadRequest, err.Error())
			return
		}
		history, err := historyOf(r.Context(), d, values)
		if err != nil {
			writeProblem(w, http.StatusBadRequest, err.Error())
			return
		}
		p := pager{history: history, query: q, left: limit}
		if format == formatJSON {
			writePage(w, r, d, &p)
			return
		}
		if values.Has("download") {
			attach(w, format, d.Now())
		}
		if format == formatCSV {
			writeRecords(w, r, d, &p, newTable(d))
			return
		}
		writeRecords(w, r, d, &p, newLines(d))
	})
}

// pager reads a query page by page, so an answer holds at most one page of raw
// bodies in memory. The journal may return a short page because events are large or
// because many don't match. Only next == 0 means the end.
type pager struct {
	history History
	query   event.Query
	left    int
	done    bool // the end, or the limit, was reached
	short   bool // the last page was cut short
}

// next returns the next page.
func (p *pager) next(ctx context.Context) ([]event.Record, error) {
	p.query.Limit = min(p.left, pageSize)
	records, next, err := p.history.Query(ctx, p.query)
	if err != nil {
		return nil, err
	}
	p.left -= len(records)
	p.short = next != 0 && len(records) < p.query.Limit
	p.done = next == 0 || p.left <= 0
	p.from(next)
	return records, nil
}

// more reports whether there may be events after that seq.
func (p *pager) more(ctx context.Context, seq int64) (bool, error) {
	p.from(seq)
	p.query.Limit = 1
	records, next, err := p.history.Query(ctx, p.query)
	return len(records) > 0 || next != 0, err
}

// from continues the query after that seq.
func (p *pager) from(seq int64) {
	if p.query.OldestFirst {
		p.query.After = seq
	} else {
		p.query.Before = seq
	}
}

// at returns the position at which the query continues.
func (p *pager) at() int64 {
	if p.query.OldestFirst {
		return p.query.After
	}
	return p.query.Before
}

func writePage(w http.ResponseWriter, r *http.Request, d AdminDeps, p *pager) {
	b := []byte(`{"events":[`)
	var last int64
	full, more := false, false
	for !full && !p.done && !p.short {
		records, err := p.next(r.Context())
		if err != nil {
			failed(w, r, d.Log, err)
			return
		}
		for i, rec := range records {
			if full = len(b) > jsonBytes; full {
				break
			}
			if last != 0 || i > 0 {
				b = append(b, ',')
			}
			b = appendEvent(b, d, rec)
			last = rec.Seq
		}
	}
	switch {
	case p.short && !full: // many events didn't match: the caller may continue
		last, more = p.at(), true
	case full || last != 0 && p.left <= 0:
		var err error
		if more, err = p.more(r.Context(), last); err != nil {
			failed(w, r, d.Log, err)
			return
		}
	}
	next := ""
	if more {
		next = strconv.FormatInt(last, 10)
	}
	b = append(b, `],"next":"`+next+"\"}\n"...)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // the reader may have hung up
}

func appendEvent(dst []byte, d AdminDeps, rec event.Record) []byte {
	return decode(d, rec).AppendJSON(dst)
}

func decode(d AdminDeps, rec event.Record) event.Event {
	e := event.Decode(rec)
	if d.Enrich != nil {
		d.Enrich(&e)
	}
	return e
}

// oneEvent answers /api/events/{seq}: the typed event, the raw body with its
// secrets masked, and the request.
func oneEvent(d AdminDeps) http.Handler {
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
		URL           string  `json:"url,omitempty"` // where Kazoo sends it, the secret masked
		Firing        *firing `json:"firing,omitempty"`
	}
	type body struct {
		Event    json.RawMessage `json:"event"`
		Message  string          `json:"message"`
		Problems []string        `json:"problems"`
		Raw      raw             `json:"raw"`
		Delivery delivery        `json:"delivery"`
		Requests []exchange      `json:"requests"`
		Silent   []string        `json:"requests_unknown,omitempty"` // nodes that could not be asked for requests of it
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seq, err := strconv.ParseInt(chi.URLParam(r, "seq"), 10, 64)
		if err != nil || seq < 1 {
			writeProblem(w, http.StatusBadRequest, "The seq of an event is a number from 1.")
			return
		}
		found, _, err := d.History.Query(r.Context(), event.Query{After: seq - 1, OldestFirst: true, Limit: 1})
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
				HookAccountID: rec.HookAccountID, RemoteAddr: rec.RemoteAddr, URL: maskedURL(d.PublicURL, rec.Hook),
			},
		}
		b.Requests, b.Silent = exchangesOf(r.Context(), d, seq)
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
