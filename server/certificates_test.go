package server_test

import (
	"strings"
	"testing"
	"time"

	"kazoohook/server"
)

// TestCertificateProblems has a case for each problem of a certificate.
func TestCertificateProblems(t *testing.T) {
	t.Parallel()
	now, day := time.Now(), 24*time.Hour
	for name, c := range map[string]struct {
		from, to time.Duration
		err      string
		want     string
	}{
		"of 90 days, fresh":          {0, 90 * day, "", ""},
		"of 90 days, to be renewed":  {-62 * day, 28 * day, "refused", ""},
		"of 90 days, late":           {-77 * day, 13 * day, "refused", "ends at"},
		"of a year, not renewed yet": {-350 * day, 15 * day, "", ""},
		"of a year, late":            {-352 * day, 13 * day, "", "was not renewed"},
		"of six days, fresh":         {-1 * day, 5 * day, "", ""},
		"of six days, late":          {-5*day - time.Hour, day - time.Hour, "refused", "was not renewed: refused"},
		"ended":                      {-91 * day, -1 * day, "", "ended at"},
	} {
		s := server.CertificateState{Domain: "a.example.com", NotBefore: now.Add(c.from), NotAfter: now.Add(c.to), Error: c.err}
		if got := s.Problem(now); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
