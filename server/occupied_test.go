package server_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"kazoohook/handlers"
	"kazoohook/server"
)

// TestStrangersDontOccupyTheAdminListener: strangers on more connections than there are
// places, whose requests need no token and then wait for them: for a body that doesn't
// come, or for an answer that isn't read. The right token is answered all the same.
func TestStrangersDontOccupyTheAdminListener(t *testing.T) {
	t.Parallel()
	const token, files, places = "the-right-admin-token", 200, 38
	large := make([]byte, 16<<20) // more than the kernel buffers
	for name, send := range map[string]string{
		"half a login": "POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"page unread":  "GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var entered atomic.Int64
			admin := handlers.Admin(handlers.AdminDeps{
				Token: token, WriteTimeout: time.Hour,
				About: func(context.Context) (handlers.About, error) { return handlers.About{}, nil },
				Page: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					_, _ = w.Write(large)
				}),
			})
			r := start(t, server.Options{ReadTimeout: time.Hour, MaxFiles: files, Public: http.HandlerFunc(ok),
				Admin: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					entered.Add(1)
					admin.ServeHTTP(wrapped{w}, r)
				})})
			crowd := func(from string) {
				stranger := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
				before := entered.Load()
				for range 2 * places {
					c, err := stranger.DialContext(t.Context(), "tcp", r.srv.AdminAddr().String())
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = c.Close() })
					_, _ = io.WriteString(c, send)
				}
				for begun := time.Now(); entered.Load() < before+places; time.Sleep(time.Millisecond) {
					if time.Since(begun) > deadline {
						t.Fatalf("only %d requests of strangers came to the handler", entered.Load()-before)
					}
				}
			}
			crowd("127.0.0.9")
			c := dial(t, r.srv.AdminAddr())
			about := func() {
				status, closes := ask(t, c, "GET /api/about HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+token+"\r\n\r\n")
				if status != "200 OK" || closes {
					t.Fatalf("the right token: %q, closes %v", status, closes)
				}
			}
			about()
			crowd("127.0.0.1") // a connection that has shown the token is kept, even from the strangers' address
			about()
		})
	}
}

// wrapped is a writer around another one, as the one that masks secrets.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }
