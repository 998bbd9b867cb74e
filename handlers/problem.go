package handlers

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// problem is an error answer of the admin listener (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// writeProblem answers with an error. The detail is for whoever called: it must
// say what to do, and never what went wrong inside.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	writeJSONStatus(w, status, problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail,
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	writeJSONStatus(w, http.StatusOK, v)
}

func writeJSONStatus(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(true)
	if err := e.Encode(v); err != nil {
		// Only a dependency's own type can fail: nothing of it has been sent yet.
		w.Header().Set("Content-Type", "application/problem+json")
		status = http.StatusInternalServerError
		b.Reset()
		b.WriteString(`{"type":"about:blank","title":"Internal Server Error","status":500}` + "\n")
	}
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader may have gone
}

func notFoundProblem(w http.ResponseWriter, _ *http.Request) {
	writeProblem(w, http.StatusNotFound, "There is nothing at this path.")
}

func methodProblem(w http.ResponseWriter, r *http.Request) {
	writeProblem(w, http.StatusMethodNotAllowed, r.Method+" is not possible here.")
}
