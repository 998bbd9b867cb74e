package handlers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"kazoohook/internal/event"
	"kazoohook/internal/event/eventtest"
)

// frame is one server-sent event.
type frame struct {
	id, name, data, comment string
}

// follower reads a stream.
type follower struct {
	t      *testing.T
	cancel context.CancelFunc
	body   io.ReadCloser
	lines  *bufio.Reader
	lastID string
}

func (h *harness) follow(query string, header ...string) *follower {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), testDeadline)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.admin.URL+"/api/events/stream"+query, http.NoBody)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		h.t.Fatalf("answer %d %v", res.StatusCode, res.Header)
	}
	f := &follower{t: h.t, cancel: cancel, body: res.Body, lines: bufio.NewReader(res.Body)}
	h.t.Cleanup(f.close)
	if first, ok := f.next(); !ok || first != (frame{}) { // "retry:"
		h.t.Fatalf("first frame %+v", first)
	}
	return f
}

func (f *follower) close() { f.cancel(); _ = f.body.Close() }

// next returns the next frame, false when the stream has ended.
func (f *follower) next() (frame, bool) {
	var fr frame
	for {
		line, err := f.lines.ReadString('\n')
		if err != nil {
			return fr, false
		}
		line = strings.TrimSuffix(line, "\n")
		field, value, _ := strings.Cut(line, ": ")
		switch field {
		case "":
			if line == "" {
				if fr.id != "" {
					f.lastID = fr.id
				}
				return fr, true
			}
			fr.comment = value
		case "id":
			fr.id = value
		case "event":
			fr.name = value
		case "data":
			fr.data = value
		case "retry":
		default:
			f.t.Errorf("line %q", line)
		}
	}
}

// seqs reads n events and returns their seqs; other frames are skipped.
func (f *follower) seqs(n int) []int64 {
	f.t.Helper()
	var all []int64
	for len(all) < n {
		fr, ok := f.next()
		if !ok {
			f.t.Fatalf("the stream ended after %d of %d events", len(all), n)
		}
		if fr.name != "" || fr.data == "" {
			continue
		}
		var e struct{ Seq int64 }
		if err := json.Unmarshal([]byte(fr.data), &e); err != nil || strconv.FormatInt(e.Seq, 10) != fr.id {
			f.t.Fatalf("%v %+v", err, fr)
		}
		eventtest.Validate(f.t, []byte(fr.data))
		all = append(all, e.Seq)
	}
	return all
}

func TestStreamStartsWhereAsked(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) {
		d.Now = func() time.Time { return time.Date(2026, 1, 1, 0, 0, 20, 0, time.UTC) }
	})
	h.fill(10)
	live := h.follow("")
	h.fill(12) // the first ten are duplicates
	for query, want := range map[string]string{
		"?after=0": "[1 2 3]", "?after=7": "[8 9 10]", "?after=10": "[11 12]", "?since=2026-01-01T00:00:05Z": "[6 7 8]",
		"?since=15s": "[6 7 8]",
	} {
		n := strings.Count(want, " ") + 1
		if got := fmt.Sprint(h.follow(query).seqs(n)); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	if got := fmt.Sprint(live.seqs(2)); got != "[11 12]" {
		t.Errorf("live: %s", got)
	}
	if got := fmt.Sprint(h.follow("?after=1", "Last-Event-ID", "9").seqs(2)); got != "[10 11]" {
		t.Errorf("Last-Event-ID: %s", got)
	}
	for _, bad := range []reply{
		h.get("/api/events/stream?until=1h"), h.get("/api/events/stream?after=x"), h.get("/api/events/stream", "Last-Event-ID", "x"),
	} {
		isProblem(t, bad, 400)
	}
}

// TestStreamResumes: readers that lose their connection repeatedly while many events
// come get each event exactly once, in order.
func TestStreamResumes(t *testing.T) {
	t.Parallel()
	const total, readers, writers = 2000, 4, 4
	h := newHarness(t)
	var next atomic.Uint64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for n := next.Add(1); n <= total; n = next.Add(1) {
				h.journal.add(event.Record{Event: "x", Request: event.Request{Source: event.SourceWebhook}, Dedupe: event.Dedupe{Key: event.Key{byte(n & 0xff), byte(n >> 8 & 0xff)}}})
			}
		})
	}
	for i := range readers {
		wg.Go(func() {
			last, want := "0", int64(1)
			for want <= total {
				f := h.follow("", "Last-Event-ID", last)
				for _, seq := range f.seqs(int(min(int64(37+60*i), total-want+1))) {
					if seq != want {
						t.Errorf("reader %d: event %d, want %d", i, seq, want)
						f.close()
						return
					}
					want++
				}
				last = f.lastID
				f.close()
			}
		})
	}
	wg.Wait()
	eventually(t, "all streams are over", func() bool { return testutil.ToFloat64(h.metrics.streams) == 0 })
}

func TestStreamHeartbeat(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) { d.Heartbeat = 5 * time.Millisecond })
	f := h.follow("")
	for range 3 {
		if fr, ok := f.next(); !ok || fr != (frame{comment: "heartbeat"}) {
			t.Fatalf("%+v", fr)
		}
	}
}

// TestStreamOutlivesTheReadTimeout: the server's limit for reading a request does not
// end a stream.
func TestStreamOutlivesTheReadTimeout(t *testing.T) {
	t.Parallel()
	const limit = 2 * time.Second // for which no client waits before it sends its request, even on a busy machine
	h := newHarness(t, func(d *testDeps) { d.Heartbeat = limit + time.Second })
	h.admin.Close()
	patient := httptest.NewUnstartedServer(h.admin.Config.Handler)
	patient.Config.ReadTimeout = limit
	patient.Start()
	t.Cleanup(func() { patient.CloseClientConnections(); patient.Close() })
	h.admin = patient
	if _, ok := h.follow("").next(); !ok {
		t.Fatal("ended")
	}
}

// TestFilteredStreamAdvances: a reader whose filter selects few events does not read
// everything again when it resumes.
func TestFilteredStreamAdvances(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) { d.Heartbeat = 5 * time.Millisecond })
	h.fill(9)
	f := h.follow("?event=user.created&after=0")
	if got := fmt.Sprint(f.seqs(4)); got != "[2 4 6 8]" {
		t.Fatalf("%s", got)
	}
	for {
		fr, ok := f.next()
		if !ok {
			t.Fatal("ended")
		}
		if fr.name == "position" {
			if fr.id != "9" || fr.data != `{"seq":9}` {
				t.Errorf("%+v", fr)
			}
			return
		}
	}
}

func TestStreamTellsOfGaps(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.fill(20)
	h.journal.mu.Lock()
	h.journal.records = h.journal.records[10:] // as retention does
	h.journal.mu.Unlock()
	f := h.follow("", "Last-Event-ID", "5")
	if fr, ok := f.next(); !ok || fr.name != "gap" || fr.id != "10" || !strings.Contains(fr.data, `"from":6,"to":10`) {
		t.Errorf("%+v", fr)
	}
	if got := f.seqs(1); got[0] != 11 {
		t.Errorf("then %d", got[0])
	}
	f = h.follow("", "Last-Event-ID", "5000")
	if fr, ok := f.next(); !ok || fr.name != "gap" || fr.id != "10" {
		t.Errorf("%+v", fr)
	}
}

func TestStreamEndsWithAReason(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.fill(1)
	f := h.follow("")
	h.journal.setQuery(func(event.Query) error { return errors.New("internal detail") })
	h.journal.add(event.Record{Event: "x", Request: event.Request{Source: event.SourceWebhook}, Dedupe: event.Dedupe{Key: event.Key{9}}})
	if fr, ok := f.next(); !ok || fr.name != "error" || fr.id != "" || strings.Contains(fr.data, "internal") {
		t.Errorf("%+v", fr)
	}
	if _, ok := f.next(); ok {
		t.Error("goes on")
	}
	if n := testutil.ToFloat64(h.metrics.cut.WithLabelValues(cutJournal)); n != 1 {
		t.Errorf("counted %v", n)
	}
}

func TestStreamsAreLimited(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) { d.MaxStreams = 1 })
	f := h.follow("")
	isProblem(t, h.get("/api/events/stream"), 503)
	f.close()
	eventually(t, "the place is free", func() bool { return testutil.ToFloat64(h.metrics.streams) == 0 })
	h.follow("")
}

// single is a listener with one connection.
type single struct {
	net.Conn
	taken atomic.Bool
	ended chan struct{}
}

func (l *single) Accept() (net.Conn, error) {
	if !l.taken.Swap(true) {
		return l.Conn, nil
	}
	<-l.ended
	return nil, net.ErrClosed
}

func (l *single) Addr() net.Addr { return l.LocalAddr() }

func (l *single) Close() error {
	close(l.ended)
	return nil
}

// TestStalledReaderHoldsUpNoStop: a stalled reader is cut off soon after the server
// begins to stop, long before WriteTimeout.
func TestStalledReaderHoldsUpNoStop(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) { d.WriteTimeout = time.Hour; d.Draining = func() bool { return true } })
	body := []byte("a=" + strings.Repeat("x", 200_000))
	h.journal.add(event.Record{Event: "x", Request: event.Request{Source: event.SourceWebhook, Method: "POST", ContentType: formType, Body: body}})
	stopping, stop := context.WithCancel(t.Context())
	defer stop()
	admin := &http.Server{Handler: h.admin.Config.Handler, ReadHeaderTimeout: testDeadline, BaseContext: func(net.Listener) context.Context { return stopping }}
	reader, conn := net.Pipe() // a write waits until all of it is read
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = admin.Serve(&single{Conn: conn, ended: make(chan struct{})}) // until it is closed
	}()
	defer func() {
		_, _ = reader.Close(), admin.Close()
		<-served
	}()
	_ = reader.SetDeadline(time.Now().Add(testDeadline))
	_, _ = io.WriteString(reader, "GET /api/events/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
	var got []byte
	for one := make([]byte, 1); !strings.HasSuffix(string(got), "id: 1\n"); got = append(got, one...) {
		if _, err := reader.Read(one); err != nil {
			t.Fatalf("%v after %q", err, got)
		}
	}
	if n := testutil.ToFloat64(h.metrics.streams); n != 1 {
		t.Fatalf("%v streams", n)
	}
	stop() // most of the event is still to be written
	eventually(t, "cut off", func() bool { return testutil.ToFloat64(h.metrics.cut.WithLabelValues(cutStopping)) == 1 })
}

// TestSlowReaderIsCutOff: a stalled reader loses its connection and can continue where
// it was. Other readers lose nothing.
func TestSlowReaderIsCutOff(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) { d.WriteTimeout = 2 * time.Second }) // a reader on a busy machine isn't slow
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.admin.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	_, _ = io.WriteString(conn, "GET /api/events/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
	body := []byte("a=" + strings.Repeat("x", 200_000))
	for i := range 100 {
		h.journal.add(event.Record{Event: "x", Request: event.Request{Source: event.SourceWebhook, Method: "POST", ContentType: formType, Body: body},
			Dedupe: event.Dedupe{Key: event.Key{byte(i)}}})
	}
	eventually(t, "cut off", func() bool { return testutil.ToFloat64(h.metrics.cut.WithLabelValues(cutSlow)) == 1 })
	if !strings.Contains(h.log.String(), `"reason":"slow"`) {
		t.Errorf("log: %s", h.log)
	}
	_ = conn.SetDeadline(time.Now().Add(testDeadline))
	got, _ := io.ReadAll(conn)
	last := int64(0) // the last event that came whole
	for part := range strings.SplitSeq(string(got), "\n\n") {
		if id, rest, ok := strings.Cut(strings.TrimPrefix(part[max(0, strings.Index(part, "id: ")):], "id: "), "\n"); ok && strings.HasSuffix(rest, "}") {
			last, _ = strconv.ParseInt(id, 10, 64)
		}
	}
	f := h.follow("", "Last-Event-ID", strconv.FormatInt(last, 10))
	if seq := f.seqs(1)[0]; seq != last+1 {
		t.Errorf("resumed with %d after %d", seq, last)
	}
}
