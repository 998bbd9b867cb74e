package main

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"kazoohook/server"
)

// TestCertificateCheck checks what /readyz and the metric say about certificates.
func TestCertificateCheck(t *testing.T) {
	t.Parallel()
	now, day := time.Now(), 24*time.Hour
	good := server.CertificateState{Domain: "a.example.com", NotBefore: now.Add(-day), NotAfter: now.Add(89 * day)}
	none := server.CertificateState{Domain: "b.example.com"}
	refused := server.CertificateState{Domain: "b.example.com", FailingSince: now.Add(-time.Hour), Error: "DNS problem"}
	late := server.CertificateState{Domain: "c.example.com", NotBefore: now.Add(-80 * day), NotAfter: now.Add(10 * day), FailingSince: now.Add(-20 * day), Error: "rate limited"}
	for name, c := range map[string]struct {
		states []server.CertificateState
		age    time.Duration // of the process
		want   string        // part of the detail; "": the check passes
		since  time.Time
		expiry float64
	}{
		"no TLS":             {nil, day, "", time.Time{}, 0},
		"good":               {[]server.CertificateState{good}, day, "", time.Time{}, float64(good.NotAfter.Unix())},
		"the first second":   {[]server.CertificateState{none}, time.Second, "", time.Time{}, 0},
		"none after minutes": {[]server.CertificateState{none}, 2 * time.Minute, "there is no certificate for b.example.com yet", time.Time{}, 0},
		"refused at once":    {[]server.CertificateState{good, refused}, time.Second, "b.example.com yet: DNS problem", refused.FailingSince, 0},
		"ends soon":          {[]server.CertificateState{good, late}, day, "c.example.com ends at", late.FailingSince, float64(late.NotAfter.Unix())},
		"two":                {[]server.CertificateState{refused, late}, day, "; the certificate of c.example.com", late.FailingSince, 0},
	} {
		states := func() []server.CertificateState { return c.states }
		r := readyChecks{certificates: states, started: now.Add(-c.age)}
		got := r.certificateCheck(now)
		if got.OK != (c.want == "") || !strings.Contains(got.Detail, c.want) || !got.Since.Equal(c.since) {
			t.Errorf("%s: %+v", name, got)
		}
		if n := testutil.ToFloat64(certificateExpiry(states)); n != c.expiry {
			t.Errorf("%s: expiry %v, want %v", name, n, c.expiry)
		}
	}
}
