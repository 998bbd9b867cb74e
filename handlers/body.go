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

// readBody reads at most limit bytes of the body. The buffer is never reused: the
// journal may still hold it after an Append that timed out.
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
	body := make([]byte, 0, 1024) // chunked: grows as bytes arrive
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

// oneObject reads the body of an admin request into into. It reports whether the
// body is one small JSON object without unknown fields.
func oneObject(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10))
	dec.DisallowUnknownFields()
	if dec.Decode(into) != nil {
		return false
	}
	_, err := dec.Token()
	return err == io.EOF
}

// routed is event.Route with two exceptions, which become unknown events: a
// compressed body (Kazoo sends none, and unpacking would allow decompression
// bombs), and a request for which Route panics (answered 503, Kazoo would resend it
// forever).
func (h *receiver) routed(d event.Request, encoding string) (rec event.Record) {
	if encoding != "" && !strings.EqualFold(encoding, "identity") {
		return unrouted(d, "content encoding "+clip(encoding, 32)+" is not understood")
	}
	defer func() {
		if v := recover(); v != nil {
			h.metrics.panics.WithLabelValues("public").Inc()
			h.log.Error().Str("hook", d.Hook).Str("panic", h.secrets.mask(panicText(v))).
				Str("stack", h.secrets.mask(string(debug.Stack()))).
				Msg("panic while routing a request: it is kept as unknown")
			rec = unrouted(d, "routing failed: "+panicText(v))
		}
	}()
	return h.route(d)
}

// unrouted makes an unknown event of a request, with the most careful rule for
// duplicates.
func unrouted(d event.Request, problem string) event.Record {
	sum := sha256.New()
	for _, s := range []string{d.Hook, d.HookID, d.ContentType} {
		io.WriteString(sum, s) //nolint:errcheck // a hash never fails
		sum.Write([]byte{0})
	}
	sum.Write(d.Body)
	rec := event.Record{Request: d, Event: event.Unknown, Problem: problem}
	rec.Dedupe.Rule = event.RuleUnacknowledged
	copy(rec.Dedupe.Key[:], sum.Sum(nil))
	return rec
}
