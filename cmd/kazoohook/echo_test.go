package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// echo stands between the service and the fake Kazoo, and notes every token that Kazoo
// issues. Below the path /refuse/<name> it answers instead of Kazoo. Such an answer has
// every known secret in every place, the password first.
type echo struct {
	next  http.Handler
	marks *marks

	mu      sync.Mutex
	secrets []string
}

var issued = regexp.MustCompile(`"auth_token":\s*"([^"]+)"`)

// ServeHTTP passes a request on, or answers it as its path says.
func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/refuse/"), "/")
	e.mu.Lock()
	known := e.secrets
	if strings.Contains(r.URL.Path, "/key/") {
		known = known[1:] // a login by key has no password
	}
	all := strings.Join(append(slices.Clone(known), string(body), r.Header.Get("X-Auth-Token")), " ")
	e.mu.Unlock()
	if answer, ok := refusals()[name]; ok {
		answer(w, all)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	rec := httptest.NewRecorder()
	e.next.ServeHTTP(rec, r)
	for _, m := range issued.FindAllStringSubmatch(rec.Body.String(), -1) {
		e.mu.Lock()
		e.secrets = append(e.secrets, m[1])
		e.mu.Unlock()
		for _, piece := range strings.Split(m[1], ".")[1:] { // the header is no secret
			e.marks.add(piece, piece)
		}
	}
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// refusals returns answers that hold secrets wherever an answer can.
func refusals() map[string]func(http.ResponseWriter, string) {
	out := map[string]func(http.ResponseWriter, string){
		"garbage": func(w http.ResponseWriter, all string) {
			w.Header().Set("Content-Type", "text/html; x="+oneLine(all))
			_, _ = fmt.Fprintf(w, "<html><title>%s</title><body>%s</body></html>", all, all) //nolint:gosec // no browser reads it
		},
		"text": func(w http.ResponseWriter, all string) {
			_, _ = io.WriteString(w, all) //nolint:gosec // no browser reads it
		},
		"redirect": func(w http.ResponseWriter, all string) {
			w.Header().Set("Location", "https://user:"+strings.ReplaceAll(oneLine(all), " ", "")+"@elsewhere.example/kazoo/x")
			w.WriteHeader(http.StatusFound)
		},
		"empty-success": func(w http.ResponseWriter, all string) {
			_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": all, "request_id": all})
		},
		"odd-success": func(w http.ResponseWriter, all string) {
			_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": []any{map[string]any{"name": all, "uri": all, all: all}, all}})
		},
		"cut-short": func(w http.ResponseWriter, all string) {
			w.Header().Set("Content-Length", "100000")
			_, _ = fmt.Fprintf(w, `{"status":"error","message":%q,"data":{"x":%q`, all, all) //nolint:gosec // no browser reads it
		},
		"no-answer": func(http.ResponseWriter, string) { panic(http.ErrAbortHandler) },
	}
	for _, status := range []int{400, 401, 403, 404, 409, 429, 500, 503} {
		out[fmt.Sprint(status)] = func(w http.ResponseWriter, all string) {
			w.Header().Set("X-Request-Id", oneLine(all))
			w.Header().Set("Retry-After", oneLine(all))
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]any{
				"status": "error", "error": fmt.Sprint(status), "message": all, "request_id": all, "auth_token": all, "data": map[string]any{
					"credentials": map[string]any{"error": map[string]any{"message": all, "value": all, "target": all, "cause": all}},
					"uri":         map[string]any{"error": map[string]any{"message": "invalid client URL " + all, "value": all}},
					all:           map[string]any{all: all}, "message": all,
				},
			})
		}
	}
	return out
}

// oneLine returns a text without characters that a header can't have.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '\x7f' {
			return '.'
		}
		return r
	}, s)
}
