package handlers

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"kazoohook/internal/event"
	"kazoohook/internal/leaktest"
)

const (
	testSecret   = "correct-horse-battery-staple"
	oldSecret    = "previous-horse-battery-staple"
	testToken    = "admin-token-of-the-tests"
	userDeleted  = "id=5f1e&account_id=a1b2&action=doc_deleted&type=user&cluster_id=c1"
	testDeadline = time.Minute
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// harness is both listeners over real sockets.
type harness struct {
	t             *testing.T
	journal       *memJournal
	metrics       *Metrics
	registry      *prometheus.Registry
	log           *logBuffer
	public, admin *httptest.Server
}

// testDeps are the dependencies of both listeners; both get Common.
type testDeps struct {
	Common
	PublicDeps
	AdminDeps
}

func newHarness(t *testing.T, change ...func(*testDeps)) *harness {
	t.Helper()
	h := &harness{t: t, journal: newMemJournal(), log: &logBuffer{}, registry: prometheus.NewPedanticRegistry()}
	h.metrics = NewMetrics([]string{"object", "channel_create"})
	h.registry.MustRegister(h.metrics.Collectors()...)
	d := testDeps{
		Common:     Common{Metrics: h.metrics, Log: zerolog.New(h.log)},
		PublicDeps: PublicDeps{Journal: h.journal, Secret: testSecret, PreviousSecret: oldSecret},
		AdminDeps:  AdminDeps{History: h.journal, Gatherer: h.registry, Heartbeat: time.Minute},
	}
	for _, c := range change {
		c(&d)
	}
	d.PublicDeps.Common, d.AdminDeps.Common = d.Common, d.Common
	h.public, h.admin = httptest.NewServer(Public(d.PublicDeps)), httptest.NewServer(Admin(d.AdminDeps))
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		h.public.Close()
		h.admin.CloseClientConnections()
		h.admin.Close()
	})
	return h
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (h *harness) do(method, url, contentType, body string, header ...string) reply {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), testDeadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Add(header[i], header[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(b)}
}

// deliver posts to the object hook.
func (h *harness) deliver(body string, header ...string) reply {
	h.t.Helper()
	return h.do(http.MethodPost, h.public.URL+"/kazoo/"+testSecret+"/object", formType, body, header...)
}

func (h *harness) get(path string, header ...string) reply {
	h.t.Helper()
	return h.do(http.MethodGet, h.admin.URL+path, "", "", header...)
}

// raw sends bytes and returns the answers, until the server closes or n have been
// read.
func (h *harness) raw(send string, n int) []reply {
	h.t.Helper()
	return rawExchange(h.t, h.public.Listener.Addr().String(), send, n)
}

func rawExchange(t *testing.T, addr, send string, n int) []reply {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(testDeadline))
	if _, err := io.WriteString(conn, send); err != nil {
		t.Logf("write: %v", err) // the server may have had enough
	}
	return readReplies(bufio.NewReader(conn), n)
}

func readReplies(r *bufio.Reader, n int) []reply {
	var all []reply
	for range n {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			break
		}
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		all = append(all, reply{res.StatusCode, res.Header, string(b)})
	}
	return all
}

// eventually polls until ok or the deadline.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(testDeadline)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", testDeadline, what)
		}
		time.Sleep(time.Millisecond)
	}
}

// logBuffer is a log that tests can read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// memJournal is a journal in memory that can be made to fail.
type memJournal struct {
	mu      sync.Mutex
	records []event.Record
	keys    map[event.Key]int64
	acks    []ack
	refused []event.Record
	grown   chan struct{}

	fail   error                   // of Append
	before func(event.Record)      // called first in Append, unlocked; set before use
	query  func(event.Query) error // called first in Query and Read
}

type ack struct {
	record  event.Record
	done    event.Appended
	written bool
}

func newMemJournal() *memJournal {
	return &memJournal{keys: make(map[event.Key]int64), grown: make(chan struct{})}
}

func (j *memJournal) Append(_ context.Context, r event.Record) (event.Appended, error) {
	if j.before != nil {
		j.before(r)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail != nil {
		return event.Appended{}, j.fail
	}
	if r.Dedupe.Rule != event.RuleUnacknowledged {
		if seq, ok := j.keys[r.Dedupe.Key]; ok {
			return event.Appended{Seq: seq, ID: j.records[seq-1].ID, Duplicate: true}, nil
		}
	}
	r.Seq = int64(len(j.records)) + 1
	r.ID = "01TEST" + string(rune('A'+r.Seq%26))
	j.records = append(j.records, r)
	j.keys[r.Dedupe.Key] = r.Seq
	close(j.grown)
	j.grown = make(chan struct{})
	return event.Appended{Seq: r.Seq, ID: r.ID}, nil
}

func (j *memJournal) Acknowledged(r event.Record, a event.Appended, written bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.acks = append(j.acks, ack{r, a, written})
}

func (j *memJournal) Refused(r event.Record, _ event.Appended) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refused = append(j.refused, r)
}

func (j *memJournal) Query(_ context.Context, q event.Query) (found []event.Record, next int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.query != nil {
		if err := j.query(q); err != nil {
			return nil, 0, err
		}
	}
	for i := range j.records {
		r := j.records[i]
		if !q.OldestFirst {
			r = j.records[len(j.records)-1-i]
		}
		if r.Seq <= q.After || q.Before > 0 && r.Seq >= q.Before || !q.Match(r) {
			continue
		}
		if found = append(found, r); len(found) == q.Limit {
			return found, r.Seq, nil
		}
	}
	return found, 0, nil
}

func (j *memJournal) Read(ctx context.Context, after int64, most int) ([]event.Record, error) {
	records, _, err := j.Query(ctx, event.Query{After: after, OldestFirst: true, Limit: most})
	return records, err
}

func (j *memJournal) Wait(ctx context.Context, after int64) error {
	for {
		j.mu.Lock()
		n, grown := int64(len(j.records)), j.grown
		j.mu.Unlock()
		if n > after {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (j *memJournal) Last(context.Context) (int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return int64(len(j.records)), nil
}

func (j *memJournal) all() []event.Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]event.Record(nil), j.records...)
}

func (j *memJournal) acknowledged() []ack {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]ack(nil), j.acks...)
}

func (j *memJournal) refusals() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.refused)
}

func (j *memJournal) setFail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fail = err
}

func (j *memJournal) setQuery(f func(event.Query) error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.query = f
}

func (j *memJournal) add(r event.Record) {
	if _, err := j.Append(context.Background(), r); err != nil {
		panic(err)
	}
}

// rawAdmin sends bytes to the admin listener and returns everything that it sends
// until it closes.
func (h *harness) rawAdmin(send string) string {
	h.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(h.t.Context(), "tcp", h.admin.Listener.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(testDeadline))
	if _, err := io.WriteString(conn, send); err != nil {
		h.t.Fatal(err)
	}
	b, _ := io.ReadAll(conn)
	return string(b)
}
