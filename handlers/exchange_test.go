package handlers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"kazoohook/internal/requests"
)

type detail struct {
	Delivery struct{ URL string }
	Requests []exchange
}

func (h *harness) detail(seq int) detail {
	h.t.Helper()
	var d detail
	got := h.get(fmt.Sprintf("/api/events/%d", seq))
	if err := json.Unmarshal([]byte(got.body), &d); err != nil || got.status != http.StatusOK {
		h.t.Fatalf("%+v: %v", got, err)
	}
	return d
}

// keeping is a harness that keeps requests.
func keeping(t *testing.T, change ...func(*testDeps)) (*harness, *requests.Recent) {
	t.Helper()
	kept := requests.New(requests.Options{})
	return newHarness(t, append(change, func(d *testDeps) { d.Requests, d.Exchanges = kept, kept })...), kept
}

// TestRequestsOfAnEvent: an event shows each of its requests with the answer.
func TestRequestsOfAnEvent(t *testing.T) {
	t.Parallel()
	h, kept := keeping(t, func(d *testDeps) {
		d.AdminDeps.PublicURL = &url.URL{Scheme: "https", Host: "hooks.example.com", Path: "/in/", User: url.UserPassword("u", "hidden")}
	})
	h.deliver(userDeleted, "X-Hook-Id", "h1", "X-Forwarded-Proto", "https")
	h.deliver(userDeleted, "X-Hook-Id", "h1")
	eventually(t, "both are kept", func() bool { return len(kept.Of(1)) == 2 })
	d := h.detail(1)
	if d.Delivery.URL != "https://hooks.example.com/in/kazoo/***/object" {
		t.Errorf("url %q", d.Delivery.URL)
	}
	first, second := d.Requests[0], d.Requests[1]
	if first.Duplicate || !second.Duplicate || first.ReceivedAt.IsZero() || second.ReceivedAt.Before(first.ReceivedAt) {
		t.Errorf("%+v", d.Requests)
	}
	if first.Answer.Status != http.StatusOK || !first.Answer.Written || first.Answer.Milliseconds <= 0 || first.Answer.Milliseconds > 60_000 {
		t.Errorf("answer %+v", first.Answer)
	}
	headers := map[string]string{}
	for _, line := range first.Headers {
		headers[line.Name] = line.Value
	}
	if headers["X-Hook-Id"] != "h1" || headers["X-Forwarded-Proto"] != "https" || headers["Host"] == "" || headers["Content-Type"] != formType {
		t.Errorf("headers %v", headers)
	}
}

// TestNoRequests: if no request is kept, the list is present and empty.
func TestNoRequests(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.deliver(userDeleted)
	if got := h.get("/api/events/1").body; !strings.Contains(got, `"requests":[]`) || strings.Contains(got, `"url"`) {
		t.Errorf("%s", got)
	}
	if got := h.get("/api/events?duplicate=true"); got.status != http.StatusBadRequest {
		t.Errorf("%+v", got)
	}
}

// TestHeadersAreRedacted: no header shows a secret, also not one that a proxy or
// custom_request_headers adds, and none fills the memory.
func TestHeadersAreRedacted(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t-of-somebody"
	many := []string{}
	for i := range 60 {
		many = append(many, fmt.Sprintf("X-Many-%02d", i), "v")
	}
	large := []string{}
	for i := range 20 {
		large = append(large, fmt.Sprintf("X-Large-%02d", i), strings.Repeat("x", 700))
	}
	for name, c := range map[string]struct {
		send    []string
		omitted bool
	}{
		"authorization":      {[]string{"Authorization", "Basic " + secret, "Proxy-Authorization", secret}, false},
		"cookie":             {[]string{"Cookie", "a=" + secret}, false},
		"key":                {[]string{"X-Api-Key", secret, "Ocp-Apim-Subscription-Key", secret}, false},
		"token":              {[]string{"X-Vault-Token", secret, "Cf-Access-Jwt-Assertion", secret}, false},
		"signature":          {[]string{"X-Hub-Signature-256", secret, "X-Hmac", secret}, false},
		"certificate":        {[]string{"X-Forwarded-Client-Cert", secret}, false},
		"the address":        {[]string{"X-Original-Uri", "/kazoo/" + testSecret + "/object", "Referer", "https://x/kazoo/" + oldSecret + "/a"}, false},
		"many":               {many, true},
		"large":              {large, true},
		"no text":            {[]string{"X-Binary", "a\xff\xfeb"}, false},
		"cut in a character": {[]string{"X-Long", strings.Repeat("x", maxHeaderValue-1) + "é" + strings.Repeat("y", 20)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, kept := keeping(t)
			h.deliver(userDeleted, c.send...)
			eventually(t, "it is kept", func() bool { return len(kept.Of(1)) == 1 })
			q, text := kept.Of(1)[0], h.get("/api/events/1").body
			for _, s := range []string{secret, testSecret, oldSecret, "\xff"} {
				if strings.Contains(text, s) || strings.Contains(fmt.Sprint(q), s) {
					t.Errorf("%q is shown: %s", s, text)
				}
			}
			if len(q.Headers) > maxHeaders || len(fmt.Sprint(q.Headers)) > 2*maxHeaderBytes || q.Omitted > 0 != c.omitted {
				t.Errorf("%d headers, %d omitted", len(q.Headers), q.Omitted)
			}
			for i := 0; i < len(c.send) && !c.omitted; i += 2 {
				if !strings.Contains(text, `"name":"`+c.send[i]+`"`) {
					t.Errorf("%s is not shown at all: %s", c.send[i], text)
				}
			}
		})
	}
}

// TestOnlyDuplicated: duplicate=true selects events that Kazoo sent more than once. It
// works with every other filter and page by page.
func TestOnlyDuplicated(t *testing.T) {
	t.Parallel()
	h, kept := keeping(t)
	for i := range 6 {
		body := fmt.Sprintf("id=%032x&account_id=a%d&action=doc_deleted&type=user", i, i%3)
		h.deliver(body)
		if i%2 == 1 { // 2, 4 and 6
			h.deliver(body)
		}
	}
	eventually(t, "all are kept", func() bool { return len(kept.Duplicated()) == 3 && len(kept.Of(6)) == 2 })
	for query, want := range map[string]string{
		"duplicate=true": "6 4 2", "duplicate=true&order=oldest": "2 4 6", "duplicate=true&limit=2": "6 4 next 4",
		"duplicate=true&before=4": "2", "duplicate=true&after=2&order=oldest": "4 6", "duplicate=true&account=a2": "6",
		"duplicate=true&event=device.*": "", "duplicate=false": "6 5 4 3 2 1", "duplicate=1&source=recovered": "",
	} {
		var page struct {
			Events []struct{ Seq int }
			Next   string
		}
		got := h.get("/api/events?" + query)
		if err := json.Unmarshal([]byte(got.body), &page); err != nil {
			t.Fatalf("%s: %v in %+v", query, err, got)
		}
		var list []string
		for _, e := range page.Events {
			list = append(list, fmt.Sprint(e.Seq))
		}
		if page.Next != "" {
			list = append(list, "next", page.Next)
		}
		if text := strings.Join(list, " "); text != want {
			t.Errorf("%s: %q, want %q", query, text, want)
		}
	}
	if got := h.get("/api/events?duplicate=true&format=csv"); strings.Count(got.body, "\r\n") != 4 {
		t.Errorf("as a table: %q", got.body)
	}
	if got := h.get("/api/events/stream?duplicate=true"); got.status != http.StatusBadRequest {
		t.Errorf("stream: %+v", got)
	}
}

// TestRequestsThatMakeNoEvent: refused and hidden requests are not kept.
func TestRequestsThatMakeNoEvent(t *testing.T) {
	t.Parallel()
	h, kept := keeping(t)
	h.do(http.MethodPost, h.public.URL+"/kazoo/wrong-secret-of-somebody/object", formType, userDeleted)
	h.do(http.MethodDelete, h.public.URL+"/kazoo/"+testSecret+"/object", formType, userDeleted)
	h.journal.setFail(http.ErrServerClosed)
	h.deliver(userDeleted)
	h.journal.setFail(nil)
	h.deliver(userDeleted)
	eventually(t, "the one that was taken is kept", func() bool { return len(kept.Of(1)) == 1 })
	if n := len(kept.Of(0)); n != 0 {
		t.Errorf("%d requests of no event", n)
	}
}
