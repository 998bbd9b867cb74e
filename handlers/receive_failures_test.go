package handlers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"kazoohook/internal/event"
)

// TestBodyCutShort: a request that stops in the middle of its body is not kept, and
// the client is asked to send it again if it still reads.
func TestBodyCutShort(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.public.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(testDeadline))
	_, _ = io.WriteString(conn, "POST /kazoo/"+testSecret+"/object HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nid=5")
	_ = conn.(*net.TCPConn).CloseWrite()
	b, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(b), "HTTP/1.1 503 ") || !strings.Contains(string(b), "Retry-After: 2\r\n") {
		t.Errorf("answer %q", b)
	}
	if len(h.journal.all()) != 0 {
		t.Error("half a body was kept")
	}
}

// TestKazooGoneBeforeTheAnswer: the event is kept although Kazoo has hung up, and the
// journal gets the outcome that the 200 was not written.
func TestKazooGoneBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	inAppend, goOn := make(chan struct{}), make(chan struct{})
	h.journal.before = func(event.Record) { close(inAppend); <-goOn }
	// Closed when the server has noticed that the client has hung up.
	noticed := make(chan struct{})
	receive := h.public.Config.Handler
	h.public.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stop := context.AfterFunc(r.Context(), func() { close(noticed) })
		defer stop()
		receive.ServeHTTP(w, r)
	})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.public.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(conn, "POST /kazoo/%s/object HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
		testSecret, len(userDeleted), userDeleted)
	<-inAppend
	_ = conn.Close()
	<-noticed
	close(goOn)
	eventually(t, "acknowledged", func() bool { return len(h.journal.acknowledged()) == 1 })
	if a := h.journal.acknowledged()[0]; a.written || a.done.Seq != 1 {
		t.Errorf("%+v", a)
	}
	if len(h.journal.all()) != 1 {
		t.Error("the event is lost")
	}
}

func TestAppendIsBounded(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) {
		d.AppendTimeout = 20 * time.Millisecond
		d.Journal = stuckJournal{d.Journal}
	})
	got := h.deliver(userDeleted)
	if got.status != 503 || got.header.Get("Retry-After") != "2" || h.journal.refusals() != 1 {
		t.Errorf("answer %d, %d refusals", got.status, h.journal.refusals())
	}
}

// stuckJournal waits in Append until the context ends.
type stuckJournal struct{ Journal }

func TestRefusalsAreLoggedNowAndThen(t *testing.T) {
	t.Parallel()
	var now atomic.Int64 // in milliseconds
	h := newHarness(t, func(d *testDeps) { d.Now = func() time.Time { return time.UnixMilli(now.Load()) } })
	h.journal.setFail(errors.New("no space left on device"))
	for range 20 {
		h.deliver(userDeleted)
		now.Add(100)
	}
	if n := strings.Count(h.log.String(), "could not take an event"); n < 1 || n > 5 {
		t.Errorf("%d lines for 20 refusals", n)
	}
	if !strings.Contains(h.log.String(), "no space left on device") {
		t.Error("the reason is not in the log")
	}
}

func TestPanicWhileAppending(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.journal.before = func(r event.Record) { panic("defect with " + string(r.Body) + testSecret) }
	got := h.deliver(userDeleted + "&password=hush")
	if got.status != 503 || got.header.Get("Retry-After") != "2" {
		t.Errorf("answer %d %v", got.status, got.header)
	}
	h.journal.before = nil
	if got := h.deliver(userDeleted); got.status != 200 {
		t.Errorf("afterwards: %d", got.status)
	}
	log := h.log.String()
	if !strings.Contains(log, "memJournal") || strings.Contains(log, testSecret) || strings.Contains(log, "hush") {
		t.Errorf("log:\n%s", log)
	}
	if n := testutil.ToFloat64(h.metrics.deliveries.WithLabelValues("object", "panic")); n != 1 {
		t.Errorf("counted %v", n)
	}
}

// TestPanicAfterTheAnswer: a panic after the answer doesn't change the answer.
func TestPanicAfterTheAnswer(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) { d.Journal = brittleJournal{d.Journal} })
	if got := h.deliver(userDeleted); got.status != 200 || got.body != "OK\n" {
		t.Errorf("answer %+v", got)
	}
	eventually(t, "counted", func() bool { return testutil.ToFloat64(h.metrics.panics.WithLabelValues("public")) == 1 })
}

type brittleJournal struct{ Journal }

// TestPanicWhileRouting: a request whose routing panics is kept. With a 503 Kazoo
// would send it again for ever.
func TestPanicWhileRouting(t *testing.T) {
	t.Parallel()
	j := newMemJournal()
	log := &logBuffer{}
	r := newReceiver(PublicDeps{Journal: j, Secret: testSecret}.withDefaults())
	r.log = r.log.Output(log)
	r.route = func(event.Request) event.Record { panic("hush") }
	rec := r.routed(event.Request{Hook: "object", Body: []byte("a=b")}, "")
	if strings.Contains(log.String()+rec.Problem, "hush") || !strings.Contains(log.String(), "stack") {
		t.Errorf("log: %s", log)
	}
	if rec.Event != event.Unknown || string(rec.Body) != "a=b" || rec.Problem == "" || rec.Dedupe.Key == (event.Key{}) {
		t.Errorf("%+v", rec)
	}
}

// TestRefusalsAreNoted: Kazoo counts every answer but 200 and 503 with Retry-After as a
// failure of the hook. A client without the secret isn't Kazoo, even if it knows a
// hook's id.
func TestRefusalsAreNoted(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var noted []string
	draining := false
	h := newHarness(t, func(d *testDeps) {
		d.Refused = func(hook string) {
			mu.Lock()
			defer mu.Unlock()
			noted = append(noted, hook)
		}
		d.Draining = func() bool { return draining }
	})
	right, wrong := h.public.URL+"/kazoo/"+testSecret+"/object", h.public.URL+"/kazoo/a-secret-of-long-ago/object"
	h.do(http.MethodPost, right, formType, userDeleted, "X-Hook-ID", "taken")
	h.do(http.MethodPost, right, formType, strings.Repeat("a", 2<<20), "X-Hook-ID", "large")
	h.do(http.MethodDelete, right, "", "", "X-Hook-ID", "method")
	h.do(http.MethodPost, wrong, formType, userDeleted, "X-Hook-ID", "stranger")
	h.do(http.MethodDelete, wrong, "", "", "X-Hook-ID", "stranger")
	draining = true
	h.do(http.MethodPost, right, formType, userDeleted, "X-Hook-ID", "draining")
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"large", "method"}; !slices.Equal(noted, want) {
		t.Errorf("noted %q, want %q", noted, want)
	}
}

func TestInstanceIsShownInPublicOnly(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) { d.Instance = "nonce-of-this-process" })
	if got := h.do(http.MethodGet, h.public.URL+"/healthz", "", "").header.Get("Kazoohook-Instance"); got != "nonce-of-this-process" {
		t.Errorf("public: %q", got)
	}
	if got := h.get("/healthz").header.Get("Kazoohook-Instance"); got != "" {
		t.Errorf("admin: %q", got)
	}
}
