package handlers

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestSession(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	token := testToken
	h := newHarness(t, func(d *testDeps) {
		d.Token, d.Now, d.TrustedProxies = token, func() time.Time { return now }, prefixes("127.0.0.0/8")
		d.Page = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("page")) })
	})
	login := func(body string, header ...string) reply {
		return h.do("POST", h.admin.URL+"/api/session", "application/json", body, header...)
	}
	if got := h.get("/"); got.body != "page" {
		t.Errorf("the page needs a token: %+v", got)
	}
	isProblem(t, login(`{"token":"wrong"}`), 401)
	isProblem(t, login(`{}`), 401)
	isProblem(t, login(`token`), 400)
	isProblem(t, login(`{"token":"`+token+`"}`, "Origin", "https://evil.example"), 403)
	isProblem(t, h.do("POST", h.admin.URL+"/api/session", formType, "token="+token), 415)

	got := login(`{"token":"` + token + `"}`)
	set := got.header.Get("Set-Cookie")
	if got.status != 204 || !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Strict") ||
		strings.Contains(set, "Secure") || strings.Contains(set, token) {
		t.Fatalf("%+v", got)
	}
	cookie, _, _ := strings.Cut(set, ";")
	if got := h.get("/api/events", "Cookie", cookie); got.status != 200 {
		t.Errorf("in session: %+v", got)
	}
	for _, bad := range []string{
		cookie + "x", strings.Replace(cookie, "=1", "=2", 1), sessionCookie + "=", sessionCookie + "=9999999999.x", "other=1",
	} {
		isProblem(t, h.get("/api/events", "Cookie", bad), 401)
	}
	if got := login(`{"token":"`+token+`"}`, "X-Forwarded-Proto", "https"); !strings.Contains(got.header.Get("Set-Cookie"), "Secure") {
		t.Errorf("behind TLS: %+v", got)
	}
	out := h.do("DELETE", h.admin.URL+"/api/session", "", "", "Cookie", cookie)
	if out.status != 204 || !strings.Contains(out.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("logout: %+v", out)
	}
	now = now.Add(sessionLength)
	isProblem(t, h.get("/api/events", "Cookie", cookie), 401)

	open := newHarness(t)
	if got := open.do("POST", open.admin.URL+"/api/session", "application/json", `{"token":""}`); got.status != 204 || got.header.Get("Set-Cookie") != "" {
		t.Errorf("without a token there are no sessions: %+v", got)
	}
}
