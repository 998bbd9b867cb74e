package measure

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// TestClosedLoopAlwaysSends: each connection sends one request even if the span has
// ended before the connection begins.
func TestClosedLoopAlwaysSends(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer s.Close()
	var next serial
	l, err := closedLoop(t.Context(), s.Listener.Addr().String(), 3, 0, &next)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.times) != 3 || requests.Load() != 3 {
		t.Errorf("%d times of %d requests", len(l.times), requests.Load())
	}
}
