package crossbar

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

const (
	testAccount = "c0ffee00aa11bb22cc33dd44ee55ff66"
	testUser    = "admin"
	testPass    = "correct horse battery"
	// md5 and sha1 of "admin:correct horse battery".
	testMD5  = "6388b7fcf5e4e210c7e4a09eb88f5e78"
	testBase = "http://kazoo.test:8000"
)

// memory is a transport that hands requests to a handler without a socket, so
// that it works inside a synctest bubble.
type memory struct {
	handler http.Handler
	mu      sync.Mutex
	log     []string // "METHOD /path"
	times   []time.Time
}

var (
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	errCut     = errors.New("connection reset by peer")
)

// A handler panics with one of these to break the connection.
type (
	refuse struct{} // before the connection exists
	cut    struct{} // after the request was sent
	hang   struct{} // the answer never comes
)

func (m *memory) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.log = append(m.log, r.Method+" "+r.URL.EscapedPath())
	m.times = append(m.times, time.Now())
	m.mu.Unlock()
	rec := httptest.NewRecorder()
	how := make(chan any, 1)
	go func() {
		defer func() { how <- recover() }()
		m.handler.ServeHTTP(rec, r)
	}()
	switch p := (<-how).(type) {
	case nil:
		connected(r)
		return rec.Result(), nil
	case refuse:
		return nil, errRefused
	case cut:
		connected(r)
		return nil, errCut
	case hang:
		connected(r)
		<-r.Context().Done()
		return nil, r.Context().Err()
	default:
		panic(p)
	}
}

func connected(r *http.Request) {
	if tr := httptrace.ContextClientTrace(r.Context()); tr != nil && tr.GotConn != nil {
		tr.GotConn(httptrace.GotConnInfo{})
	}
}

func (m *memory) count(prefix string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, l := range m.log {
		if strings.HasPrefix(l, prefix) {
			n++
		}
	}
	return n
}

// inMemory returns a client whose requests go to h.
func inMemory(t *testing.T, h http.Handler, change ...func(*Options)) (*Client, *memory) {
	t.Helper()
	o := Options{
		BaseURL: testBase, Auth: Password{User: testUser, Pass: testPass}, AccountName: "acme",
		Rate: 1000, Log: zerolog.Nop(),
	}
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{handler: h}
	c.http.Transport = m
	return c, m
}

// jwt returns an unsigned token with the claims.
func jwt(claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + enc([]byte(claims)) + "." + enc([]byte("signature"))
}

// api is a mux that answers logins with fresh tokens and knows the current one.
type api struct {
	*http.ServeMux
	mu     sync.Mutex
	life   time.Duration
	logins int
	token  string
}

func newAPI() *api {
	a := &api{ServeMux: http.NewServeMux(), life: time.Hour}
	a.HandleFunc("PUT /v2/user_auth", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusCreated, map[string]any{
			"status": "success", "auth_token": a.issue(), "request_id": "req-login",
			"data": map[string]any{"account_id": testAccount, "account_name": "acme"},
		})
	})
	return a
}

func (a *api) issue() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.logins++
	now := time.Now()
	a.token = jwt(fmt.Sprintf(`{"iat":%d,"exp":%d,"n":%d}`, now.Unix(), now.Add(a.life).Unix(), a.logins))
	return a.token
}

// authed registers a handler that checks the token.
func (a *api) authed(pattern string, h http.HandlerFunc) {
	a.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		ok := r.Header.Get("X-Auth-Token") == a.token && a.token != ""
		a.mu.Unlock()
		if !ok {
			fail(w, http.StatusUnauthorized, "invalid_credentials", nil)
			return
		}
		h(w, r)
	})
}

func (a *api) revoke() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token = "revoked"
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // Erlang's encoders don't
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
}

func ok(w http.ResponseWriter, data any) {
	reply(w, http.StatusOK, map[string]any{"data": data, "status": "success", "request_id": "req-ok"})
}

func fail(w http.ResponseWriter, status int, message string, data any) {
	if data == nil {
		data = map[string]any{}
	}
	reply(w, status, map[string]any{
		"data": data, "status": "error", "error": fmt.Sprint(status), "message": message, "request_id": "req-fail",
	})
}

func readData(t *testing.T, r *http.Request) map[string]any {
	t.Helper()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	var env struct{ Data map[string]any }
	if err := json.Unmarshal(raw, &env); err != nil {
		t.Errorf("request body %q: %v", raw, err)
	}
	return env.Data
}

func asError(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T) is not an *Error", err, err)
	}
	return e
}
