package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	proto "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	pb "google.golang.org/protobuf/proto"

	"kazoohook/internal/delivery"
	"kazoohook/internal/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "the-secret-of-the-hooks"

// collecting is a server that checks and keeps requests by the official proto.
type collecting struct {
	mu      sync.Mutex
	spans   map[string]*proto.Span // by name
	service string
	headers []string // of Authorization
	bad     []string
	status  int // answered; 0: 200
	asked   int
}

func (c *collecting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.status != 0 {
		w.WriteHeader(c.status)
		return
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(r.Body)
	}
	raw, err := io.ReadAll(body)
	var req collector.ExportTraceServiceRequest
	if err == nil {
		err = pb.Unmarshal(raw, &req)
	}
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.bad = append(c.bad, fmt.Sprint(r.Method, r.URL.Path, r.Header.Get("Content-Type"), err))
	}
	if bytes.Contains(raw, []byte(secret)) {
		c.bad = append(c.bad, "the secret is in the spans")
	}
	c.headers = append(c.headers, r.Header.Get("Authorization"))
	for _, rs := range req.GetResourceSpans() {
		for _, a := range rs.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				c.service = a.GetValue().GetStringValue()
			}
		}
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				c.spans[s.GetName()] = s
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	answer, _ := pb.Marshal(&collector.ExportTraceServiceResponse{})
	_, _ = w.Write(answer)
}

// opened opens a tracer with environment variables, which the SDK reads, too.
func opened(t *testing.T, log io.Writer, environ ...string) *Tracer {
	t.Helper()
	for _, e := range append([]string{"OTEL_BSP_SCHEDULE_DELAY=20"}, environ...) {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	tracer, err := Open(t.Context(), Options{Getenv: os.Getenv, Version: "v1", Log: zerolog.New(log), Mask: func(s string) string { return strings.ReplaceAll(s, secret, "***") }})
	if err != nil || tracer == nil {
		t.Fatal(tracer, err)
	}
	return tracer
}

func start(t *testing.T) (*collecting, string) {
	t.Helper()
	c := &collecting{spans: map[string]*proto.Span{}}
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	return c, srv.URL
}

func hookRequest(t *testing.T, parent string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x/kazoo/"+secret+"/object", strings.NewReader("id=1"))
	if err != nil {
		t.Fatal(err)
	}
	if parent != "" {
		r.Header.Set("Traceparent", parent)
	}
	return r
}

func attrOf(s *proto.Span, key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			if v := a.GetValue().GetStringValue(); v != "" {
				return v
			}
			return fmt.Sprint(a.GetValue().GetIntValue())
		}
	}
	return ""
}

const (
	parent      = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	parentTrace = "0af7651916cd43dd8448eb211c80319c"
	requestSpan = "POST /kazoo/{secret}/{hook}"
	appendSpan  = "append to the journal"
	attemptSpan = "deliver to billing"
)

// TestSpans: request, append and attempt are one trace without a secret. It
// continues a trusted proxy's trace, and the destination gets its id.
func TestSpans(t *testing.T) {
	c, url := start(t)
	tracer := opened(t, io.Discard, "OTEL_EXPORTER_OTLP_ENDPOINT="+url, "OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20abc", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip")
	q := tracer.Request(hookRequest(t, parent), "object", time.Now(), true)
	q.Appending()
	q.Appended("user.deleted", "a\xff", event.Appended{Seq: 7, ID: "01X"}, nil)
	q.Answered(http.StatusOK)
	m := &delivery.Message{Destination: "billing", Seq: 7, EventID: "01X", Event: "user.deleted", Attempt: 2}
	ctx, ended := tracer.Attempt(t.Context(), m)
	if !trace.SpanContextFromContext(ctx).IsValid() || !strings.HasPrefix(m.Traceparent, "00-"+parentTrace+"-") || m.Traceparent == parent {
		t.Errorf("traceparent %q", m.Traceparent)
	}
	ended(delivery.Result{Err: errors.New("refused at https://x/" + secret), Status: "500 Internal Server Error"})
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	request, appended, attempt := c.spans[requestSpan], c.spans[appendSpan], c.spans[attemptSpan]
	if len(c.spans) != 3 || request == nil || appended == nil || attempt == nil || len(c.bad) > 0 || c.service != "kazoohook" || c.headers[0] != "Bearer abc" {
		t.Fatalf("%d spans of %q, %q, %q", len(c.spans), c.service, c.bad, c.headers)
	}
	for name, s := range c.spans {
		if fmt.Sprintf("%x", s.GetTraceId()) != parentTrace {
			t.Errorf("%s is of trace %x", name, s.GetTraceId())
		}
	}
	if fmt.Sprintf("%x", request.GetParentSpanId()) != "b7ad6b7169203331" || !bytes.Equal(appended.GetParentSpanId(), request.GetSpanId()) || !bytes.Equal(attempt.GetParentSpanId(), request.GetSpanId()) {
		t.Error("the spans aren't each other's children")
	}
	for key, want := range map[string]string{"http.response.status_code": "200", "kazoohook.seq": "7", "kazoohook.event": "user.deleted", "kazoohook.account_id": "a?", "kazoohook.hook": "object"} {
		if got := attrOf(request, key); got != want {
			t.Errorf("%s is %q", key, got)
		}
	}
	if attempt.GetStatus().GetCode() != proto.Status_STATUS_CODE_ERROR || attempt.GetStatus().GetMessage() != "refused at https://x/***" || attrOf(attempt, "kazoohook.attempt") != "2" {
		t.Errorf("attempt: %v %v", attempt.GetStatus(), attempt.GetAttributes())
	}
	if request.GetKind() != proto.Span_SPAN_KIND_SERVER || attempt.GetKind() != proto.Span_SPAN_KIND_PRODUCER {
		t.Error("kinds")
	}
}

// TestStrangersTraces: the traceparent of an untrusted sender is ignored, and an
// attempt whose request isn't known begins a new trace.
func TestStrangersTraces(t *testing.T) {
	c, url := start(t)
	tracer := opened(t, io.Discard, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+url+"/v1/traces", "OTEL_SERVICE_NAME=mine")
	q := tracer.Request(hookRequest(t, parent), "object", time.Now(), false)
	q.Appending()
	q.Appended("unknown", "", event.Appended{}, errors.New("the disk is full"))
	q.Answered(http.StatusServiceUnavailable)
	m := &delivery.Message{Destination: "billing", Seq: 9}
	_, ended := tracer.Attempt(t.Context(), m)
	ended(delivery.Result{})
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	request, attempt := c.spans[requestSpan], c.spans[attemptSpan]
	if request == nil || fmt.Sprintf("%x", request.GetTraceId()) == parentTrace || len(request.GetParentSpanId()) > 0 || c.service != "mine" {
		t.Fatalf("%v of %q", request, c.service)
	}
	if request.GetStatus().GetCode() != proto.Status_STATUS_CODE_ERROR || c.spans[appendSpan].GetStatus().GetMessage() != "the disk is full" {
		t.Errorf("%v", request.GetStatus())
	}
	if len(attempt.GetParentSpanId()) > 0 || attempt.GetStatus().GetCode() != proto.Status_STATUS_CODE_UNSET || !strings.Contains(m.Traceparent, fmt.Sprintf("%x", attempt.GetSpanId())) {
		t.Errorf("%v, %q", attempt, m.Traceparent)
	}
}

// TestSampling: the environment chooses the sampler. A span that isn't sampled is
// not exported, and its traceparent says that it isn't sampled.
func TestSampling(t *testing.T) {
	c, url := start(t)
	tracer := opened(t, io.Discard, "OTEL_EXPORTER_OTLP_ENDPOINT="+url, "OTEL_TRACES_SAMPLER=parentbased_always_off", "OTEL_PROPAGATORS=tracecontext,baggage")
	for _, proxied := range []bool{false, true} { // the proxy samples
		q := tracer.Request(hookRequest(t, parent), fmt.Sprint(proxied), time.Now(), proxied)
		q.Answered(http.StatusOK)
	}
	m := &delivery.Message{Destination: "billing"}
	_, ended := tracer.Attempt(t.Context(), m)
	ended(delivery.Result{})
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.spans) != 1 || attrOf(c.spans[requestSpan], "kazoohook.hook") != "true" || !strings.HasSuffix(m.Traceparent, "-00") {
		t.Errorf("%d spans, traceparent %q", len(c.spans), m.Traceparent)
	}
}

// TestNoPropagation: OTEL_PROPAGATORS=none neither reads nor writes a traceparent.
func TestNoPropagation(t *testing.T) {
	c, url := start(t)
	tracer := opened(t, io.Discard, "OTEL_EXPORTER_OTLP_ENDPOINT="+url, "OTEL_PROPAGATORS=none")
	tracer.Request(hookRequest(t, parent), "object", time.Now(), true).Answered(http.StatusOK)
	m := &delivery.Message{}
	_, ended := tracer.Attempt(t.Context(), m)
	ended(delivery.Result{})
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m.Traceparent != "" || fmt.Sprintf("%x", c.spans[requestSpan].GetTraceId()) == parentTrace {
		t.Errorf("%q, %v", m.Traceparent, c.spans[requestSpan])
	}
}

// TestExporterDown: thousands of spans delay no request, and only a few lines report
// that spans are lost.
func TestExporterDown(t *testing.T) {
	c, url := start(t)
	c.status = http.StatusBadRequest
	var log lockedBuffer
	tracer := opened(t, &log, "OTEL_EXPORTER_OTLP_ENDPOINT="+url, "OTEL_BSP_MAX_QUEUE_SIZE=64", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=16")
	begun := time.Now()
	for i := range 10_000 {
		q := tracer.Request(hookRequest(t, ""), "object", time.Now(), false)
		q.Appending()
		q.Appended("unknown", "", event.Appended{Seq: int64(i)}, nil)
		q.Answered(http.StatusOK)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_ = tracer.Close(ctx)
	if got := log.String(); strings.Count(got, "\n") > 1+int(time.Since(begun)/reportPause) || !strings.Contains(got, "traces could not be exported") {
		t.Errorf("%d requests to the exporter, logged:\n%s", c.asked, got)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestThrottled: one line a minute, with the number of errors that weren't logged.
func TestThrottled(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	now := time.Unix(0, 0)
	h := newThrottled(zerolog.New(&log), func(s string) string { return strings.ReplaceAll(s, secret, "***") }, func() time.Time { return now })
	for i := range 5 {
		h.Handle(fmt.Errorf("failed %d: %s", i, secret))
	}
	now = now.Add(2 * time.Minute)
	h.Handle(errors.New("failed again"))
	if got := log.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, `"not_logged":4`) || strings.Contains(got, secret) {
		t.Errorf("%s", got)
	}
}

// TestRecent forgets the oldest.
func TestRecent(t *testing.T) {
	t.Parallel()
	sampled := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled})
	r := &recent{}
	for seq := range int64(remembered + 2) {
		r.add(seq, sampled)
	}
	r.add(remembered+5, sampled.WithTraceFlags(0))
	for seq, want := range map[int64]bool{0: false, 1: false, 2: true, remembered: true, remembered + 1: true, remembered + 5: false, -1: false, 1 << 40: false} {
		if _, got := r.get(t.Context(), seq); got != want {
			t.Errorf("%d: %v", seq, got)
		}
	}
}

// TestRecentWaits: get waits for the appends in progress, but not for later ones
// and not longer than longestWait.
func TestRecentWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sampled := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled})
		r := &recent{}
		mine, hung := r.begin(), r.begin()
		begun := time.Now()
		go func() {
			time.Sleep(longestWait / 2)
			r.begin() // a later one, which never ends
			r.add(7, sampled)
			r.end(mine)
		}()
		if _, ok := r.get(t.Context(), 7); !ok || time.Since(begun) != longestWait/2 {
			t.Errorf("found %v after %s", ok, time.Since(begun))
		}
		begun = time.Now()
		if _, ok := r.get(t.Context(), 8); ok || time.Since(begun) != longestWait {
			t.Errorf("found %v after %s", ok, time.Since(begun))
		}
		r.end(hung)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begun = time.Now()
		if _, ok := r.get(ctx, 8); ok || time.Since(begun) != 0 {
			t.Errorf("found %v after %s", ok, time.Since(begun))
		}
	})
}
