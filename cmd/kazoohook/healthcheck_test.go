package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"kazoohook/config"
)

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("hooks: not registered"))
	})
	mux.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked for %s", r.URL) })
	service := httptest.NewServer(mux)
	t.Cleanup(service.Close)
	addr := strings.TrimPrefix(service.URL, "http://")
	gone := freeAddrs(t, 1)[0]

	for name, c := range map[string]struct {
		environ        []string
		args           []string
		code           int
		stdout, stderr string // parts of them
	}{
		"alive":         {[]string{"LISTEN_ADDR=" + addr}, nil, 0, "ok\n", ""},
		"behind proxy":  {[]string{"LISTEN_ADDR=" + addr, "HTTP_PROXY=http://127.0.0.1:1", "http_proxy=http://127.0.0.1:1"}, nil, 0, "ok\n", ""},
		"by flag":       {nil, []string{"--listen-addr", addr}, 0, "ok\n", ""},
		"admin":         {[]string{"ADMIN_ADDR=" + addr}, []string{"--admin"}, 0, "ok\n", ""},
		"every address": {[]string{"LISTEN_ADDR=:" + addr[strings.LastIndex(addr, ":")+1:]}, nil, 0, "ok\n", ""},
		"not ready":     {[]string{"LISTEN_ADDR=" + addr}, []string{"--ready"}, 1, "", "/readyz answered 503 Service Unavailable: hooks: not registered"},
		"not running":   {[]string{"LISTEN_ADDR=" + gone}, nil, 1, "", "connection refused"},
		"any port":      {[]string{"LISTEN_ADDR=:0"}, nil, 2, "", "is chosen at the start"},
		"admin off":     {[]string{"ADMIN_ADDR=off"}, []string{"--admin"}, 2, "", "the admin listener is off"},
		"misconfigured": {[]string{"LISTEN_ADDR=x"}, nil, 2, "", "LISTEN_ADDR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := program(t, c.environ, append([]string{"healthcheck", "--timeout", "1m"}, c.args...)...)
			if code != c.code || stdout != c.stdout || !strings.Contains(stderr, c.stderr) || c.code == 0 && stderr != "" {
				t.Errorf("code %d\n%s%s", code, stdout, stderr)
			}
		})
	}
}

func TestDialable(t *testing.T) {
	t.Parallel()
	for a, want := range map[config.Addr]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:80": "127.0.0.1:80", "[::]:80": "[::1]:80", "192.0.2.7:1": "192.0.2.7:1", "host:1": "host:1",
	} {
		if got, err := dialable(a); err != nil || got != want {
			t.Errorf("%s: %s %v", a, got, err)
		}
	}
	if _, err := dialable("nonsense"); err == nil {
		t.Error("no error")
	}
}
