package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kazoohook/config"
	"kazoohook/handlers"
	"kazoohook/server"
)

// acmeDir is the directory in DATA_DIR for the account with a CA, keys and
// certificates.
const acmeDir = "acme"

// certificates is the source of the public listener's certificates.
type certificates interface {
	TLSConfig() *tls.Config
	States() []server.CertificateState
}

// openCertificates opens the source of certificates in the settings; nil: the
// public listener has no TLS.
func (s *service) openCertificates() (certificates, error) {
	switch {
	case s.cfg.TLSCertFile != "":
		var err error
		s.keyPair, err = server.LoadKeyPair(s.cfg.TLSCertFile, s.cfg.TLSKeyFile, s.logs.Log)
		return s.keyPair, err
	case len(s.cfg.AcmeDomains) > 0:
		roots, err := acmeRoots(s.cfg)
		if err != nil {
			return nil, err
		}
		s.acme = server.NewACME(server.ACMEOptions{
			Domains: s.cfg.AcmeDomains, Email: s.cfg.AcmeEmail, CA: acmeCA(s.cfg), Roots: roots, HTTPAddr: s.cfg.AcmeHTTPAddr.String(),
			Dir: filepath.Join(s.cfg.DataDir, acmeDir), Log: s.logs.Log,
		})
		return s.acme, nil
	}
	return nil, nil //nolint:nilnil // no certificates are no error
}

// acmeCA returns the URL of the CA's directory, "" for the default.
func acmeCA(cfg *config.Config) string {
	if cfg.AcmeCA == nil {
		return ""
	}
	return cfg.AcmeCA.String()
}

// acmeRoots returns the certificates that verify the CA's own server; nil: the
// system's.
func acmeRoots(cfg *config.Config) (*x509.CertPool, error) {
	if cfg.AcmeCAFile == "" {
		return nil, nil //nolint:nilnil // as x509.VerifyOptions has it
	}
	pem, err := os.ReadFile(cfg.AcmeCAFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem) // the settings were checked
	return roots, nil
}

// certificateStates returns the states of the public listener's certificates.
func (s *service) certificateStates() []server.CertificateState {
	if s.certificates == nil {
		return nil
	}
	return s.certificates.States()
}

// certificateAfter is the time that a first certificate may take.
const certificateAfter = time.Minute

// certificateCheck fails if a certificate is missing, has ended or was not renewed.
// Requests are still taken.
func (r *readyChecks) certificateCheck(now time.Time) handlers.Check {
	c := handlers.Check{Name: "certificate", OK: true}
	if r.certificates == nil {
		return c
	}
	var why []string
	for _, s := range r.certificates() {
		problem := s.Problem(now)
		if problem == "" || s.NotAfter.IsZero() && s.Error == "" && now.Sub(r.started) < certificateAfter {
			continue
		}
		why = append(why, problem)
		if !s.FailingSince.IsZero() && (c.Since.IsZero() || s.FailingSince.Before(c.Since)) {
			c.Since = s.FailingSince
		}
	}
	if len(why) > 0 {
		c.OK, c.Reason = false, "a TLS certificate is missing or ends"
		c.Detail = "requests are taken, but Kazoo 5, which verifies certificates, may not deliver: " + strings.Join(why, "; ") +
			". With ACME_DOMAINS the CA must reach this host at port 443 or 80; with TLS_CERT_FILE the files must be renewed. It is tried again by itself"
	}
	return c
}

// certificateExpiry exposes the time at which the first certificate ends.
func certificateExpiry(states func() []server.CertificateState) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kazoohook_certificate_expiry_timestamp_seconds",
		Help: "When the first of the public listener's TLS certificates ends; 0 while one is missing, or without TLS.",
	}, func() float64 {
		var first time.Time
		for _, s := range states() {
			if s.NotAfter.IsZero() {
				return 0
			}
			if first.IsZero() || s.NotAfter.Before(first) {
				first = s.NotAfter
			}
		}
		if first.IsZero() {
			return 0
		}
		return float64(first.Unix())
	})
}
