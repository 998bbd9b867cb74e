package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// spans is a collector of traces. It keeps the trace of each span, by the span's name.
type spans struct {
	mu    sync.Mutex
	trace map[string]string
	bad   []string
}

func (c *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	var req collector.ExportTraceServiceRequest
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || proto.Unmarshal(raw, &req) != nil {
		c.bad = append(c.bad, "not as the proto says")
	}
	for _, secret := range []string{processSecret, "token-of-the-destination"} {
		if bytes.Contains(raw, []byte(secret)) {
			c.bad = append(c.bad, secret)
		}
	}
	for _, rs := range req.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				c.trace[s.GetName()] = fmt.Sprintf("%x", s.GetTraceId())
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *spans) of(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trace[name]
}

// TestTraces: OpenTelemetry's own variable is enough. A proxy's trace goes through the
// receiver to a destination. A wrong variable gets a warning, and no secret is in a
// span.
func TestTraces(t *testing.T) {
	t.Parallel()
	c := &spans{trace: map[string]string{}}
	collects := httptest.NewServer(c)
	t.Cleanup(collects.Close)
	var mu sync.Mutex
	var onward []string
	destination := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		onward = append(onward, r.Header.Get("Traceparent"))
	}))
	t.Cleanup(destination.Close)
	p := newProcess(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+collects.URL, "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_TRACES_SAMPLER=sometimes", "TRUSTED_PROXIES=127.0.0.0/8",
		"FORWARD_URL="+destination.URL+"/?token=token-of-the-destination")
	out, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	p.start(out, execServe)
	const trace = "0af7651916cd43dd8448eb211c80319c"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.public+"/kazoo/"+processSecret+"/object", strings.NewReader("id=1&account_id=2&action=doc_deleted&type=user"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Traceparent", "00-"+trace+"-b7ad6b7169203331-01")
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	_ = resp.Body.Close() // only the status matters
	for _, name := range []string{"POST /kazoo/{secret}/{hook}", "append to the journal", "deliver to forward"} {
		p.until("there is a span "+name, func() bool { return c.of(name) != "" })
		if got := c.of(name); got != trace {
			t.Errorf("%s is of trace %s", name, got)
		}
	}
	p.stop()
	mu.Lock()
	defer mu.Unlock()
	if len(onward) != 1 || !strings.HasPrefix(onward[0], "00-"+trace+"-") {
		t.Errorf("onward: %q", onward)
	}
	if len(c.bad) > 0 {
		t.Errorf("%q", c.bad)
	}
	if raw, err := os.ReadFile(out.Name()); err != nil || !bytes.Contains(raw, []byte(`OTEL_TRACES_SAMPLER: \"sometimes\" is not known`)) {
		t.Errorf("%v\n%s", err, raw)
	}
}
