package event

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// vector is one delivery recorded from Kazoo's own handlers and encoder.
type vector struct {
	Name    string            `json:"name"`
	Kazoo   string            `json:"kazoo"`
	Verb    string            `json:"verb"`
	Format  string            `json:"format"`
	Version string            `json:"version"`
	Hook    map[string]any    `json:"hook"`
	Headers map[string]string `json:"headers"`
	BodyB64 string            `json:"body_b64"`
	Query   string            `json:"query"`
	Pairs   [][2]string       `json:"pairs"`
	Expect  json.RawMessage   `json:"expect"`
	HMACKey string            `json:"hmac_key"`
	HMAC    string            `json:"hmac"`
	Sent    bool              `json:"sent"`
}

func loadVectors(t testing.TB) []vector {
	t.Helper()
	all, err := vectors()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 210 {
		t.Fatalf("%d vectors, want 210", len(all))
	}
	return all
}

// vectors reads the file only once, because many tests use it.
var vectors = sync.OnceValues(func() (all []vector, err error) {
	raw, err := os.ReadFile("testdata/deliveries.jsonl")
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(raw) {
		var v vector
		if err := json.Unmarshal(line, &v); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
})

func sentVectors(t testing.TB) []vector {
	t.Helper()
	var sent []vector
	for _, v := range loadVectors(t) {
		if v.Sent {
			sent = append(sent, v)
		}
	}
	return sent
}

func eachLine(t testing.TB, file string, do func(line []byte)) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // it is only read
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		if len(bytes.TrimSpace(sc.Bytes())) > 0 {
			do(sc.Bytes())
		}
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
}

// body is what the receiver keeps: the body, or the raw query of a GET.
func (v vector) body(t testing.TB) []byte {
	t.Helper()
	if v.BodyB64 == "" {
		return []byte(v.Query)
	}
	b, err := base64.StdEncoding.DecodeString(v.BodyB64)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// delivery is the vector as the receiver would hand it to Route.
func (v vector) delivery(t testing.TB) Request {
	t.Helper()
	contentType := v.Headers["Content-Type"]
	if v.Verb == "get" {
		contentType = "application/x-www-form-urlencoded"
	}
	hook, _ := v.Hook["hook"].(string)
	return Request{
		Source:        SourceWebhook,
		ReceivedAt:    time.Date(2025, 3, 4, 5, 6, 7, 890_000_000, time.UTC),
		Hook:          strings.ToLower(hook),
		HookID:        v.Headers["X-Hook-ID"],
		HookAccountID: v.Headers["X-Account-ID"],
		Method:        strings.ToUpper(v.Verb),
		ContentType:   contentType,
		RemoteAddr:    "192.0.2.1:40000",
		Body:          v.body(t),
	}
}

// vectorNamed returns the vector with the name.
func vectorNamed(t testing.TB, name string) vector {
	t.Helper()
	for _, v := range loadVectors(t) {
		if v.Name == name {
			return v
		}
	}
	t.Fatalf("no vector %q", name)
	return vector{}
}
