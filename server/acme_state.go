package server

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

type certificateFailure struct {
	since time.Time
	err   string
}

// failed records a failure and logs it. next is the time of the next try; zero for
// a renewal, which the library tries again.
func (a *ACME) failed(domain string, err error, next time.Time) {
	text := plainProblem(err)
	a.mu.Lock()
	f := a.failures[domain]
	if f.since.IsZero() {
		f.since = time.Now()
	}
	f.err = text
	a.failures[domain] = f
	a.mu.Unlock()
	line := a.opts.Log.Error().Str("domain", domain).Str("ca", a.issuer.CA).Str("error", text)
	if !next.IsZero() {
		line.Time("next_try", next.UTC())
	}
	if a.current(domain) == nil {
		line.Msg("the CA gave no certificate: a self-signed one is used meanwhile, which Kazoo 4 accepts and Kazoo 5 refuses")
		return
	}
	line.Msg("the certificate could not be renewed: it stays in use, and the CA is asked again")
}

// plainProblem returns the CA's objection in its own words.
func plainProblem(err error) string {
	var p acme.Problem
	if errors.As(err, &p) && p.Detail != "" {
		for _, sub := range p.Subproblems {
			p.Detail += "; " + sub.Detail
		}
		return p.Detail
	}
	return err.Error()
}

// current returns a domain's certificate from the CA, nil if there is none.
func (a *ACME) current(domain string) *x509.Certificate {
	var newest *x509.Certificate
	for _, c := range a.cache.AllMatchingCertificates(domain) {
		if c.Leaf != nil && (newest == nil || c.Leaf.NotAfter.After(newest.NotAfter)) {
			newest = c.Leaf
		}
	}
	return newest
}

// States returns the state of each domain's certificate, in the order of the
// domains.
func (a *ACME) States() []CertificateState {
	states := make([]CertificateState, 0, len(a.opts.Domains))
	for _, domain := range a.opts.Domains {
		s := CertificateState{Domain: domain}
		if c := a.current(domain); c != nil {
			s.NotBefore, s.NotAfter = c.NotBefore, c.NotAfter
		}
		a.mu.Lock()
		f := a.failures[domain]
		a.mu.Unlock()
		s.FailingSince, s.Error = f.since, f.err
		states = append(states, s)
	}
	return states
}

// StoredCertificate reads the certificate and intermediates that ACME stored in dir
// for a domain. The error wraps fs.ErrNotExist if there are none.
func StoredCertificate(dir, ca, domain string) ([]*x509.Certificate, error) {
	issuer := certmagic.NewACMEIssuer(&certmagic.Config{}, certmagic.ACMEIssuer{CA: ca, Logger: zap.NewNop()})
	raw, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(certmagic.StorageKeys.SiteCert(issuer.IssuerKey(), domain))))
	if err != nil {
		return nil, fmt.Errorf("read the certificate of %s: %w", domain, err)
	}
	var chain []*x509.Certificate
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read the certificate of %s: %w", domain, err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("read the certificate of %s: the file holds none", domain)
	}
	return chain, nil
}
