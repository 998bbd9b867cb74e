package handlers

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// sessionCookie authenticates the page where a browser can't send a bearer header
// (EventSource). It holds its expiry and a MAC keyed by the token. So the server
// keeps no state, and a new token ends every session.
const (
	sessionCookie = "kazoohook_session"
	sessionLength = 12 * time.Hour
)

// login answers POST /api/session {"token":"..."} with a session cookie.
func (g *guard) login() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b struct {
			Token string `json:"token"`
		}
		if !oneObject(w, r, &b) {
			writeProblem(w, http.StatusBadRequest, `Send one object: {"token":"<ADMIN_TOKEN>"}.`)
			return
		}
		if g.required {
			if !g.try(w, r, b.Token) {
				return
			}
			expires := g.now().Add(sessionLength)
			http.SetCookie(w, g.cookie(r, g.session(expires), int(sessionLength/time.Second)))
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// logout answers DELETE /api/session.
func (g *guard) logout() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, g.cookie(r, "", -1))
		w.WriteHeader(http.StatusNoContent)
	})
}

// cookie makes the cookie. It is not Secure on a plain connection, where a browser
// would drop it.
func (g *guard) cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure wherever it can be, see above
		Name: sessionCookie, Value: value, Path: forwardedPrefix(r) + "/", MaxAge: maxAge, HttpOnly: true,
		Secure: r.TLS != nil || g.sources.secure(r), SameSite: http.SameSiteStrictMode,
	}
}

func (g *guard) session(expires time.Time) string {
	at := strconv.FormatInt(expires.Unix(), 10)
	mac := hmac.New(sha256.New, g.token[:])
	mac.Write([]byte("kazoohook session " + at))
	return at + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// inSession reports whether the request carries a valid session that has not
// expired.
func (g *guard) inSession(r *http.Request) bool {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return false
	}
	at, _, _ := strings.Cut(c.Value, ".")
	unix, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return false
	}
	expires := time.Unix(unix, 0)
	return hmac.Equal([]byte(c.Value), []byte(g.session(expires))) && g.now().Before(expires)
}
