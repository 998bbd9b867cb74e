package delivery

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAnswersWithoutEnd: an endless answer is read up to a limit, and its status
// counts.
func TestAnswersWithoutEnd(t *testing.T) {
	t.Parallel()
	for name, piece := range map[string]string{"floods": strings.Repeat("x", 64<<10), "drips": "x"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{})
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				defer close(ended)
				for r.Context().Err() == nil {
					if _, err := io.WriteString(w, piece); err != nil {
						return
					}
					_ = http.NewResponseController(w).Flush()
					if len(piece) == 1 {
						select {
						case <-time.After(50 * time.Millisecond): // the drip
						case <-r.Context().Done():
						}
					}
				}
			})
			r := sender(t, HTTPSettings{URL: server.URL}).Send(t.Context(), message())
			if r.Err != nil || r.Status != "200 OK" || r.Excerpt == "" || len(r.Excerpt) > maxExcerpt {
				t.Errorf("%+v", r)
			}
			select {
			case <-ended:
			case <-time.After(wait):
				t.Error("the connection is still open")
			}
		})
	}
}

// TestAnswerBeforeBody: over HTTP/2, an answer without an end that comes before the
// event is read ends the attempt, and its status counts.
func TestAnswerBeforeBody(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, "ours")
	server := ours.secure(t, time.Now().Add(time.Hour), false, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	t.Cleanup(server.CloseClientConnections)
	s := sender(t, HTTPSettings{URL: server.URL, CA: ours.pem})
	m := message()
	m.Body = make([]byte, 8<<20) // more than is sent before the server reads
	result := make(chan Result, 1)
	go func() { result <- s.Send(t.Context(), m) }()
	select {
	case r := <-result:
		if r.Err != nil || r.Status != "200 OK" {
			t.Errorf("%+v", r)
		}
	case <-time.After(wait):
		t.Error("the attempt doesn't end")
	}
}

// TestNoAnswer lists the attempts that end without a status.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	hangs := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the end of the connection is noticed
		<-r.Context().Done()
	}
	raw := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}
	for name, test := range map[string]struct {
		do   http.HandlerFunc
		wait time.Duration
		want string
	}{
		"hangs":        {hangs, 100 * time.Millisecond, " gave no answer within 100ms"},
		"closes":       {raw(""), wait, " gave no answer: the connection was closed"},
		"breaks off":   {raw("HTTP/1.1 200 O"), wait, " gave no answer: the connection was closed"},
		"is no HTTP":   {raw("SSH-2.0-OpenSSH_9.2\r\n\r\n"), wait, ` gave no answer: the answer is broken: malformed HTTP response "SSH-2.0-OpenSSH_9.2"`},
		"large header": {raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 200<<10) + "\r\n\r\n"), wait, " gave no answer: the answer is broken: net/http: server response headers exceeded 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, test.do)
			url := strings.Replace(server.URL, "http://", "http://user:"+secretToken+"@", 1) + "/" + secretToken + "?t=" + secretToken
			r := sender(t, HTTPSettings{URL: url}, timeout(test.wait)).Send(t.Context(), message())
			if r.Err == nil || !strings.HasPrefix(r.Err.Error(), server.URL+test.want) || r.Answered || r.Status != "" {
				t.Errorf("got %+v", r)
			}
			if strings.Contains(fmt.Sprint(r), secretToken) {
				t.Errorf("a secret in %v", r)
			}
		})
	}
}

// TestInterrupted ends an attempt as a shutdown does.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	r := sender(t, HTTPSettings{URL: server.URL}).Send(ctx, message())
	if r.Err == nil || r.Err.Error() != server.URL+": the attempt was interrupted: context canceled" || r.Answered {
		t.Errorf("got %+v", r)
	}
}

// TestNobodyListens checks the most common outage.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	s := sender(t, HTTPSettings{URL: "http://127.0.0.1:1"})
	r := s.Send(t.Context(), message())
	const want = "http://127.0.0.1:1 gave no answer: dial tcp 127.0.0.1:1: connect: connection refused"
	if r.Err == nil || r.Err.Error() != want || r.Answered {
		t.Errorf("got %+v", r)
	}
	if err := s.Check(t.Context()); err == nil || err.Error() != want {
		t.Errorf("check: %v", err)
	}
}
