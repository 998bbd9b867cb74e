package fakekazoo

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rawServer answers the first request of every connection with answer, and passes
// the request's bytes to sent.
func rawServer(t *testing.T, answer string) (uri string, sent chan string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sent = make(chan string, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(conn)
			head, length := "", 0
			for {
				line, err := r.ReadString('\n')
				head += line
				if v, ok := strings.CutPrefix(line, "Content-Length: "); ok {
					for _, c := range strings.TrimSpace(v) {
						length = length*10 + int(c-'0')
					}
				}
				if err != nil || line == "\r\n" {
					break
				}
			}
			body := make([]byte, length)
			_, _ = io.ReadFull(r, body)
			sent <- head + string(body)
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "http://" + l.Addr().String(), sent
}

const raw200 = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"

// The bytes of a request: the case of Kazoo's header names, no header with the
// event's name, and an unescaped target.
func TestWireFormat(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		uri    string // after the authority
		verb   string
		format string
		user   string
		want   func(hook, user string) string
	}{
		"form": {uri: "/hook", want: func(hook, user string) string {
			return "POST /hook HTTP/1.1\r\nHost: HOST\r\nContent-Length: 152\r\nContent-Type: application/x-www-form-urlencoded\r\n" +
				"X-Account-ID: " + DefaultAccountID + "\r\nX-Hook-ID: " + hook + "\r\n\r\n" + form(user)
		}},
		"get": {uri: "/hook", verb: "get", want: func(hook, user string) string {
			return "GET /hook?" + form(user) + " HTTP/1.1\r\nHost: HOST\r\n" +
				"X-Account-ID: " + DefaultAccountID + "\r\nX-Hook-ID: " + hook + "\r\nConnection: close\r\n\r\n"
		}},
		"get with a query": {uri: "/hook?a=b", verb: "get", want: func(hook, user string) string {
			return "GET /hook?a=b?" + form(user) + " HTTP/1.1\r\nHost: HOST\r\n" +
				"X-Account-ID: " + DefaultAccountID + "\r\nX-Hook-ID: " + hook + "\r\nConnection: close\r\n\r\n"
		}},
		"get with a fragment": {uri: "/hook#frag", verb: "get", want: func(hook, _ string) string {
			return "GET /hook HTTP/1.1\r\nHost: HOST\r\n" +
				"X-Account-ID: " + DefaultAccountID + "\r\nX-Hook-ID: " + hook + "\r\nConnection: close\r\n\r\n"
		}},
		"user information": {uri: "", user: "hookuser:hook%20pass@", want: func(hook, user string) string {
			return "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 152\r\nAuthorization: Basic aG9va3VzZXI6aG9vayUyMHBhc3M=\r\n" +
				"Content-Type: application/x-www-form-urlencoded\r\n" +
				"X-Account-ID: " + DefaultAccountID + "\r\nX-Hook-ID: " + hook + "\r\n\r\n" + form(user)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, sent := rawServer(t, raw200)
			host := strings.TrimPrefix(base, "http://")
			k := newKazoo(t, Options{Speed: 1000})
			fields := objectHook("http://" + tc.user + host + tc.uri)
			if tc.verb != "" {
				fields["http_verb"] = tc.verb
			}
			hook := mustHook(t, k, fields)
			u := deleteUser(t, k, "")
			got := <-sent
			idle(t, k)
			if diff := cmp.Diff(strings.Replace(tc.want(hook, u.ID), "HOST", host, 1), got); diff != "" {
				t.Error(diff)
			}
			if f := k.Truth().Firings[0]; f.Outcome != OutcomeDelivered || f.Tries != 1 {
				t.Errorf("%+v", f)
			}
		})
	}
}

func form(user string) string {
	return "id=" + user + "&account_id=" + DefaultAccountID + "&action=doc_deleted&type=user&cluster_id=" + DefaultClusterID
}

// client_error names transport errors as Erlang does.
func TestTransportErrors(t *testing.T) {
	t.Parallel()
	silent, _ := rawServer(t, "")
	garbage, _ := rawServer(t, "SSH-2.0-OpenSSH_9.2\r\n\r\n")
	short, _ := rawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf")
	for name, tc := range map[string]struct{ version, uri, verb, want string }{
		"refused":           {"", "http://127.0.0.1:1", "post", "failed_connect: econnrefused"},
		"no answer":         {"", silent, "post", "socket_closed_remotely"},
		"garbage":           {"", garbage, "post", "could_not_parse_as_http"},
		"answer cut off":    {"", short, "post", "socket_closed_remotely"},
		"no http":           {"", "ftp://127.0.0.1/", "post", "invalid_uri"},
		"not a host":        {"", "http://a b/", "post", "invalid_uri"},
		"ipv6":              {"", "http://[::1]:1/", "post", "failed_connect: ehostunreach"},
		"tls to plain http": {"", strings.Replace(newReceiver(t, answer(http.StatusOK)).URL, "http:", "https:", 1), "post", "failed_connect: tls_alert"},
		"raw path on 5":     {"5", silent + "/hôok", "post", "invalid_uri"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKazoo(t, Options{Speed: 1000, Version: tc.version})
			mustHook(t, k, objectHook(tc.uri, "http_verb", tc.verb, "retries", 2))
			deleteUser(t, k, "")
			idle(t, k)
			f := k.Truth().Firings[0]
			if f.Outcome != OutcomeExhausted || f.ClientError != tc.want || f.Tries != 2 {
				t.Errorf("%s after %d tries: %q, want %q", f.Outcome, f.Tries, f.ClientError, tc.want)
			}
		})
	}
}

// On OTP 22.3.1 and later, so on 5, a GET with brackets in its target is never sent.
func TestNestedGet(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]Outcome{"4.3": OutcomeDelivered, "5": OutcomeExhausted} {
		base, _ := rawServer(t, raw200) // Go's own server refuses the space in one of the keys
		k := newKazoo(t, Options{Speed: 1000, Version: version})
		mustHook(t, k, map[string]any{"hook": "channel_answer", "uri": base + "/get", "http_verb": "get", "retries": 1})
		if _, err := k.PlaceCall(Call{}); err != nil {
			t.Fatal(err)
		}
		idle(t, k)
		if f := k.Truth().Firings[0]; f.Outcome != want {
			t.Errorf("%s: %+v", version, f)
		}
	}
}

func TestCustomRequestHeadersAndJSONOn5(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, answer(http.StatusOK))
	k := newKazoo(t, Options{Speed: 1000, Version: "5"})
	mustHook(t, k, objectHook(r.URL, "format", "json", "custom_data", map[string]any{"type": "all", "action": "all"},
		"custom_request_headers", map[string]any{"Authorization": "Bearer tok-123", "X-Tenant": "7"}))
	u := deleteUser(t, k, "")
	idle(t, k)
	d := <-r.got
	if d.header.Get("Authorization") != "Bearer tok-123" || d.header.Get("X-Tenant") != "7" ||
		d.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", d.header)
	}
	want := `{"account_id":"` + DefaultAccountID + `","action":"doc_deleted","auth_account_id":"` + DefaultAccountID +
		`","auth_user_id":"` + loginUserID + `","cluster_id":"` + DefaultClusterID + `","id":"` + u.ID + `","type":"user"}`
	if diff := cmp.Diff(want, d.body); diff != "" {
		t.Error(diff)
	}
}
