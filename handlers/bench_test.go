package handlers

import (
	"context"
	"io"
	"net/http"
	"testing"

	"kazoohook/internal/event"
)

// nullWriter does nothing, so that a benchmark measures only the handler.
type nullWriter struct{ header http.Header }

func (w *nullWriter) Header() http.Header         { return w.header }
func (w *nullWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *nullWriter) WriteHeader(int)             {}
func (w *nullWriter) FlushError() error           { return nil }

type nullJournal struct{}

func (nullJournal) Append(context.Context, event.Record) (event.Appended, error) {
	return event.Appended{Seq: 1}, nil
}
func (nullJournal) Acknowledged(event.Record, event.Appended, bool) {}
func (nullJournal) Refused(event.Record, event.Appended)            {}

// body is a request body that can be read repeatedly.
type body struct {
	text string
	at   int
}

func (b *body) Read(p []byte) (int, error) {
	if b.at == len(b.text) {
		return 0, io.EOF
	}
	n := copy(p, b.text[b.at:])
	b.at += n
	return n, nil
}
func (b *body) Close() error { return nil }

// BenchmarkReceive measures the receive path without net/http and the journal.
func BenchmarkReceive(b *testing.B) {
	public := Public(PublicDeps{Journal: nullJournal{}, Secret: testSecret})
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "/kazoo/"+testSecret+"/object", http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	r.RemoteAddr, r.ContentLength = "203.0.113.9:4711", int64(len(userDeleted))
	r.Header.Set("Content-Type", formType)
	r.Header.Set("X-Hook-ID", "0123456789abcdef0123456789abcdef")
	src := &body{text: userDeleted}
	r.Body = src
	w := &nullWriter{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		src.at = 0
		clear(w.header)
		public.ServeHTTP(w, r)
	}
}
