package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func prefixes(texts ...string) []netip.Prefix {
	var p []netip.Prefix
	for _, t := range texts {
		p = append(p, netip.MustParsePrefix(t))
	}
	return p
}

func TestSourceCannotBeSpoofed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		peer string
		xff  []string
		want string
	}{
		"no proxy":                 {"203.0.113.9:5", []string{"1.2.3.4"}, "203.0.113.9"},
		"proxy":                    {"10.0.0.1:5", []string{"198.51.100.7"}, "198.51.100.7"},
		"claimed by the sender":    {"10.0.0.1:5", []string{"1.2.3.4, 198.51.100.7"}, "198.51.100.7"},
		"claims to be trusted":     {"10.0.0.1:5", []string{"10.0.0.9, 198.51.100.7"}, "198.51.100.7"},
		"two proxies":              {"10.0.0.1:5", []string{"198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		"two headers":              {"10.0.0.1:5", []string{"1.2.3.4", "198.51.100.7"}, "198.51.100.7"},
		"two headers, two proxies": {"10.0.0.1:5", []string{"198.51.100.7", "10.0.0.2"}, "198.51.100.7"},
		"nothing forwarded":        {"10.0.0.1:5", nil, "10.0.0.1"},
		"rubbish":                  {"10.0.0.1:5", []string{"198.51.100.7, unknown"}, "10.0.0.1"},
		"rubbish behind a proxy":   {"10.0.0.1:5", []string{"rubbish, 10.0.0.2"}, "10.0.0.2"},
		"only proxies":             {"10.0.0.1:5", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"with a port":              {"10.0.0.1:5", []string{"198.51.100.7:4711"}, "198.51.100.7"},
		"IPv6":                     {"[fd00::1]:5", []string{"2001:db8::1"}, "2001:db8::1"},
		"IPv6 with a port":         {"[fd00::1]:5", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		"IPv6 in brackets":         {"[fd00::1]:5", []string{"[2001:db8::1]"}, "2001:db8::1"},
		"half a bracket":           {"[fd00::1]:5", []string{"[2001:db8::1"}, "fd00::1"},
		"a comma too many":         {"10.0.0.1:5", []string{"198.51.100.7,"}, "198.51.100.7"},
		"commas too many":          {"10.0.0.1:5", []string{"1.2.3.4, 198.51.100.7 , ,10.0.0.2,, "}, "198.51.100.7"},
		"an empty header":          {"10.0.0.1:5", []string{"198.51.100.7", ""}, "198.51.100.7"},
		"mapped":                   {"[::ffff:10.0.0.1]:5", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		"zone":                     {"[fe80::1%eth0]:5", nil, "fe80::1"},
		"no address":               {"@", []string{"1.2.3.4"}, ""},
	} {
		s := sources{trusted: prefixes("10.0.0.0/8", "fd00::/8")}
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/", nil)
		r.RemoteAddr = tc.peer
		for _, v := range tc.xff {
			r.Header.Add("X-Forwarded-For", v)
		}
		if got := s.of(r).text(); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestAllowedAddresses(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(d *testDeps) {
		d.AllowFrom, d.TrustedProxies = prefixes("198.51.100.0/24"), prefixes("127.0.0.0/8")
	})
	url := h.public.URL + "/kazoo/" + testSecret + "/object"
	if got := h.do(http.MethodPost, url, formType, userDeleted, "X-Forwarded-For", "198.51.100.7"); got.status != 200 {
		t.Errorf("allowed: %d", got.status)
	}
	for _, from := range []string{"192.0.2.1", "198.51.100.7, 192.0.2.1", ""} {
		if got := h.do(http.MethodPost, url, formType, userDeleted, "X-Forwarded-For", from); got.status != 404 {
			t.Errorf("%q: %d", from, got.status)
		}
	}
	if n := testutil.ToFloat64(h.metrics.rejected.WithLabelValues(rejectAddress)); n != 3 {
		t.Errorf("counted %v", n)
	}
	if all := h.journal.all(); len(all) != 1 || all[0].RemoteAddr != "198.51.100.7" {
		t.Errorf("%+v", all)
	}
}

func TestLimiterIsBoundedAndForgets(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	l := newLimiter(2, func() time.Time { return now })
	one := source{netip.MustParseAddr("2001:db8::1")}.key()
	same := source{netip.MustParseAddr("2001:db8::ffff")}.key()
	if l.over(one) || l.over(same) || !l.over(one) {
		t.Error("not limited as one source")
	}
	now = now.Add(time.Minute)
	if l.over(one) {
		t.Error("not forgotten after a minute")
	}
	addr := netip.MustParseAddr("10.0.0.0")
	for range 100_000 { // more sources than slots: nothing grows
		addr = addr.Next()
		l.over(addr)
	}
	if l.over(one) {
		t.Error("survived being displaced")
	}
}
