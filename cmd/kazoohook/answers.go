package main

import (
	"bytes"
	"net/http"

	"kazoohook/internal/redact"
)

// maskAnswers masks secrets in a handler's answers. An event may hold one, for
// example a notification about a hook that was switched off.
func maskAnswers(next http.Handler, secrets *redact.Redactor) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Accept-Encoding") // compressed answers can't be masked
		m := &maskedAnswer{ResponseWriter: w, secrets: secrets}
		defer m.end()
		next.ServeHTTP(m, r)
	})
}

// maskedAnswer passes on whole lines, so that a secret is never cut in two and
// missed.
type maskedAnswer struct {
	http.ResponseWriter
	secrets *redact.Redactor
	begun   bool
	line    []byte // beginning of a line that has not ended
}

// longestLine is the longest part of a line that is held back. A longer line is
// passed on in pieces, except for its end, which may hold the beginning of a secret.
// overlap is longer than any secret, encoded.
const (
	longestLine = 1 << 20
	overlap     = 4 << 10
)

// WriteHeader begins the answer, without a length: masking may change it.
func (m *maskedAnswer) WriteHeader(status int) {
	if !m.begun && status >= http.StatusOK {
		m.begun = true
		m.Header().Del("Content-Length")
	}
	m.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (m *maskedAnswer) Write(p []byte) (int, error) {
	if !m.begun {
		m.WriteHeader(http.StatusOK)
	}
	m.line = append(m.line, p...)
	end := bytes.LastIndexByte(m.line, '\n') + 1
	if end == 0 && len(m.line) > longestLine {
		// Masked before it is cut: a secret may lie across the cut.
		m.line = append([]byte(nil), m.secrets.Long(m.line)...)
		end = max(0, len(m.line)-overlap)
	}
	if err := m.pass(end); err != nil {
		return 0, err
	}
	return len(p), nil
}

// pass passes on the first n bytes that are held back.
func (m *maskedAnswer) pass(n int) error {
	if n == 0 {
		return nil
	}
	_, err := m.ResponseWriter.Write(m.secrets.Long(m.line[:n]))
	m.line = append(m.line[:0], m.line[n:]...)
	return err
}

// FlushError sends everything that is held back.
func (m *maskedAnswer) FlushError() error {
	if err := m.pass(len(m.line)); err != nil {
		return err
	}
	return http.NewResponseController(m.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (m *maskedAnswer) Flush() { _ = m.FlushError() }

// Unwrap gives http.ResponseController its other methods.
func (m *maskedAnswer) Unwrap() http.ResponseWriter { return m.ResponseWriter }

func (m *maskedAnswer) end() { _ = m.pass(len(m.line)) } // the next write returns the same error
