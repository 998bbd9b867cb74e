package handlers

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"strings"

	"kazoohook/internal/event"
)

var errTooLarge = errors.New("body over the limit")

// readBody reads the body up to limit and not a byte further. What it returns
// belongs to the record from then on and is never reused: the journal may hold
// on to it after an Append that timed out.
func readBody(r *http.Request, limit int64) ([]byte, error) {
	n := r.ContentLength
	if n > limit {
		return nil, errTooLarge
	}
	if n >= 0 {
		body := make([]byte, n)
		_, err := io.ReadFull(r.Body, body)
		if err != nil {
			return nil, err
		}
		return body, nil
	}
	body := make([]byte, 0, 1024) // chunked: grows as bytes arrive, not as they are announced
	for {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if int64(len(body)) > limit {
			return nil, errTooLarge
		}
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// oneObject reads the body of an admin request, a small JSON object and nothing
// behind it, and reports whether it was one with no field that into lacks.
func oneObject(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10))
	dec.DisallowUnknownFields()
	if dec.Decode(into) != nil {
		return false
	}
	_, err := dec.Token()
	return err == io.EOF
}

// routed is event.Route, except for what it can't be asked: a compressed body
// (Kazoo sends none; unpacking one would invite bombs) and a delivery that
// makes it panic, which as a 503 would come again for ever.
func (h *receiver) routed(d event.Delivery, encoding string) (rec event.Record) {
	if encoding != "" && !strings.EqualFold(encoding, "identity") {
		return unrouted(d, "content encoding "+clip(encoding, 32)+" is not understood")
	}
	defer func() {
		if v := recover(); v != nil {
			h.metrics.panics.WithLabelValues("public").Inc()
			h.log.Error().Str("hook", d.Hook).Str("panic", h.secrets.mask(panicText(v))).
				Str("stack", h.secrets.mask(string(debug.Stack()))).
				Msg("panic while routing a delivery: it is kept as unknown")
			rec = unrouted(d, "routing failed: "+panicText(v))
		}
	}()
	return h.route(d)
}

// unrouted keeps a delivery as an unknown event, under the most careful rule.
func unrouted(d event.Delivery, problem string) event.Record {
	sum := sha256.New()
	for _, s := range []string{d.Hook, d.HookID, d.ContentType} {
		io.WriteString(sum, s) //nolint:errcheck // a hash never fails
		sum.Write([]byte{0})
	}
	sum.Write(d.Body)
	rec := event.Record{Delivery: d, Event: event.Unknown, Problem: problem}
	rec.Dedupe.Rule = event.RuleUnacknowledged
	copy(rec.Dedupe.Key[:], sum.Sum(nil))
	return rec
}
