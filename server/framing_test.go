package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kazoohook/server"
)

// answers sends bytes and returns the status codes of all answers until the server
// closes. A redirect is always an error.
func (r *running) answers(send string) (statuses []string) {
	r.t.Helper()
	c := r.dial()
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, send); err != nil {
		r.t.Logf("write: %v", err) // the server may have had enough
	}
	in := bufio.NewReader(c)
	for range 10 {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			break
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode/100 == 3 || res.Header.Get("Location") != "" {
			r.t.Errorf("%.80q: redirected: %s %v", send, res.Status, res.Header)
		}
		statuses = append(statuses, res.Status[:3])
	}
	return statuses
}

// smuggled is a request with the secret that is hidden within another one.
const smuggled = "POST /kazoo/" + secret + "/smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b"

// framings lists ways to state where a body ends, most of them wrong or ambiguous. Each
// ends the connection: bytes after a request whose end is unclear must not be taken
// for another request. The %s is the path.
func framings() map[string]struct {
	send string
	want string // answers with the secret
	kept int
} {
	type row = struct {
		send string
		want string
		kept int
	}
	const head = "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	return map[string]row{
		"plain":                          {head + "Content-Length: 3\r\n\r\na=b", "200", 1},
		"chunked":                        {head + "Transfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n", "200", 1},
		"chunked with trailer":           {head + "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3\r\na=b\r\n0\r\nX: y\r\n\r\n", "200", 1},
		"chunk extension":                {head + "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\na=b\r\n0\r\n\r\n", "200", 1},
		"endless chunk extension":        {head + "Transfer-Encoding: chunked\r\n\r\n3;" + strings.Repeat("x", 8<<10) + "\r\na=b\r\n0\r\n\r\n", "503", 0},
		"chunk size too long":            {head + "Transfer-Encoding: chunked\r\n\r\n11111111111111111\r\na=b\r\n0\r\n\r\n", "503", 0},
		"negative chunk":                 {head + "Transfer-Encoding: chunked\r\n\r\n-3\r\na=b\r\n0\r\n\r\n", "503", 0},
		"chunk longer than it says":      {head + "Transfer-Encoding: chunked\r\n\r\n2\r\na=b\r\n0\r\n\r\n", "503", 0},
		"length and chunked":             {"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, "200", 1},
		"chunked and length":             {"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 200\r\n\r\n0\r\n\r\n" + smuggled, "200", 1},
		"two lengths":                    {head + "Content-Length: 3\r\nContent-Length: 4\r\n\r\na=b" + smuggled, "400", 0},
		"two equal lengths":              {head + "Content-Length: 3\r\nContent-Length: 3\r\n\r\na=b", "200", 1},
		"list of lengths":                {head + "Content-Length: 3, 4\r\n\r\na=b" + smuggled, "400", 0},
		"signed length":                  {head + "Content-Length: +3\r\n\r\na=b" + smuggled, "400", 0},
		"hexadecimal length":             {head + "Content-Length: 0x3\r\n\r\na=b" + smuggled, "400", 0},
		"length with rubbish":            {head + "Content-Length: 3 x\r\n\r\na=b" + smuggled, "400", 0},
		"huge length":                    {head + "Content-Length: 99999999999999999999\r\n\r\na=b" + smuggled, "400", 0},
		"announced too much":             {head + "Content-Length: 1099511627776\r\n\r\na=b" + smuggled, "413", 0},
		"xchunked":                       {head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled, "501", 0},
		"identity, chunked":              {head + "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" + smuggled, "501", 0},
		"chunked twice":                  {head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, "501", 0},
		"chunked, then identity":         {head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + smuggled, "501", 0},
		"chunked with a tab":             {head + "Transfer-Encoding: \x0bchunked\r\nContent-Length: 3\r\n\r\na=b" + smuggled, "400 501", 0},
		"chunked behind a space":         {head + "Transfer-Encoding : chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" + smuggled, "400", 0},
		"folded header":                  {head + "X: y\r\n Content-Length: 3\r\nContent-Length: 0\r\n\r\n", "200 400", -1},
		"first header folded":            {"POST %s HTTP/1.1\r\n Host: x\r\nContent-Length: 3\r\n\r\na=b" + smuggled, "400", 0},
		"bare line feeds":                {"POST %s HTTP/1.1\nHost: x\nConnection: close\nContent-Length: 3\n\na=b", "200 400", -1},
		"bare carriage return in header": {head + "X: a\rContent-Length: 0\r\nContent-Length: 3\r\n\r\na=b", "400", 0},
		"NUL in a header":                {head + "X: a\x00b\r\nContent-Length: 3\r\n\r\na=b", "400", 0},
		"header without a name":          {head + ": x\r\nContent-Length: 3\r\n\r\na=b", "400", 0},
		"header without a colon":         {head + "Content-Length 3\r\n\r\na=b", "400", 0},
		"HTTP/1.0":                       {"POST %s HTTP/1.0\r\nContent-Length: 3\r\n\r\na=b", "200", 1},
		"HTTP/1.0 chunked":               {"POST %s HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n", "200 400 501", -1},
		"HTTP/0.9":                       {"GET %s\r\n\r\n", "400", 0},
		"HTTP/1.2":                       {"POST %s HTTP/1.2\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\na=b", "200 400 505", -1},
		"HTTP/2 preface":                 {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 404 505", 0},
		"HTTP/3":                         {"POST %s HTTP/3.0\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b", "505", 0},
		"no host":                        {"POST %s HTTP/1.1\r\nContent-Length: 3\r\n\r\na=b", "400", 0},
		"two hosts":                      {"POST %s HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 3\r\n\r\na=b", "400", 0},
		"host with a path":               {"POST %s HTTP/1.1\r\nHost: x/y\r\nContent-Length: 3\r\n\r\na=b", "400", 0},
		"TLS":                            {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400", 0},
		"expectation":                    {head + "Expect: 100-continue\r\nContent-Length: 3\r\n\r\na=b", "100 200", 1},
		"unknown expectation":            {head + "Expect: the-unexpected\r\nContent-Length: 3\r\n\r\na=b", "417", 0},
		"upgrade":                        {head + "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 3\r\n\r\na=b", "200", 1},
		"method override":                {"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-HTTP-Method-Override: DELETE\r\n\r\n", "200", 1},
	}
}

// TestFramings: with the secret a request is taken as a whole or refused, and a request
// hidden behind it is never taken. Without the secret nothing is taken.
func TestFramings(t *testing.T) {
	t.Parallel()
	for name, f := range framings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			right, kept := receiving(t, server.Options{})
			send := f.send
			if strings.Contains(send, "%s") {
				send = strings.Replace(f.send, "%s", "/kazoo/"+secret+"/object", 1)
			}
			got := right.answers(send)
			allowed := strings.Fields(f.want)
			if f.want == "100 200" { // both, in this order
				allowed = got
				if strings.Join(got, " ") != f.want {
					t.Errorf("answers %v", got)
				}
			}
			if len(got) == 0 || !contains(allowed, got[0]) || f.want != "100 200" && len(got) > 1 {
				t.Errorf("answers %v, want one of %s", got, f.want)
			}
			want := f.kept
			if want < 0 { // taken or not, but at most once and as a whole
				want = map[bool]int{true: 1}[len(got) > 0 && got[0] == "200"]
			}
			if all := kept.all(); len(all) != want {
				t.Errorf("%d kept: %q", len(all), all)
			}

			wrong, none := receiving(t, server.Options{})
			wrong.answers(strings.Replace(strings.ReplaceAll(f.send, secret, "wrong-secret-of-the-test"), "%s", "/kazoo/wrong-secret-of-the-test/object", 1))
			if all := none.all(); len(all) != 0 {
				t.Errorf("without the secret: %q", all)
			}
		})
	}
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// TestSmugglingBehindAStranger: a request in the body of a request without the secret, or
// after it, is not read, even if it is perfect. A proxy in front may see one request
// where we would see two.
func TestSmugglingBehindAStranger(t *testing.T) {
	t.Parallel()
	for name, send := range map[string]string{
		"body":       fmt.Sprintf("POST /kazoo/x/y HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(smuggled), smuggled),
		"no length":  "POST /kazoo/x/y HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled,
		"chunked":    "POST /kazoo/x/y HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"both":       "POST /kazoo/x/y HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"GET":        "GET /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n" + smuggled,
		"bad method": "BREW / HTTP/1.1\r\nHost: x\r\n\r\n" + smuggled,
		"broken":     "POST /kazoo/x/y HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n" + smuggled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, kept := receiving(t, server.Options{})
			if got := r.answers(send); len(got) != 1 || got[0] == "200" {
				t.Errorf("answers %v", got)
			}
			if all := kept.all(); len(all) != 0 {
				t.Errorf("kept %q", all)
			}
		})
	}
}

// TestHalfOpen: a peer that has left, or has closed its side, keeps no connection.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	const limit = 2 * time.Second // a loaded machine is slow, too
	r, kept := receiving(t, server.Options{ReadHeaderTimeout: limit, ReadTimeout: limit, IdleTimeout: limit})
	var peers sync.WaitGroup
	for name, send := range map[string]string{
		"nothing sent":    "",
		"half a line":     "POST /kazoo/" + secret,
		"half a header":   "POST /kazoo/" + secret + "/object HTTP/1.1\r\nHost: x\r\nContent-",
		"half a body":     "POST /kazoo/" + secret + "/object HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nid=5",
		"half a chunk":    "POST /kazoo/" + secret + "/object HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nid=5",
		"after an answer": "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		for _, closes := range []bool{true, false} {
			c := r.dial()
			peers.Go(func() {
				_, _ = io.WriteString(c, send)
				if tcp, ok := c.(interface{ CloseWrite() error }); ok && closes {
					_ = tcp.CloseWrite()
				}
				// Until the server closes, and no longer. What it has not read resets the connection.
				if b, err := io.ReadAll(c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("%s, closed %v: %v after %q", name, closes, err, b)
				}
				_ = c.Close()
			})
		}
	}
	peers.Wait()
	if all := kept.all(); len(all) != 0 {
		t.Errorf("half a delivery was kept: %q", all)
	}
}
