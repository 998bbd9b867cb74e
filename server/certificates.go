package server

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/zap/zapcore"
)

// CertificateState describes one certificate.
type CertificateState struct {
	Domain              string // the certificate's name
	NotBefore, NotAfter time.Time
	FailingSince        time.Time // when getting or reading the next one began to fail; zero: it doesn't
	Error               string    // why
}

// lateAfter is the most remaining life at which a renewal counts as late. For short
// certificates a sixth of their life counts. A renewal is due when a third is left.
const lateAfter = 14 * 24 * time.Hour

// Problem returns what is wrong with the certificate: there is none, it has ended,
// or it ends soon and was not renewed. "" means that it is fine.
func (s CertificateState) Problem(now time.Time) string {
	why := ""
	if s.Error != "" {
		why = ": " + s.Error
	}
	left := s.NotAfter.Sub(now)
	switch {
	case s.NotAfter.IsZero():
		return fmt.Sprintf("there is no certificate for %s yet%s", s.Domain, why)
	case left <= 0:
		return fmt.Sprintf("the certificate of %s ended at %s%s", s.Domain, s.NotAfter.UTC().Format(time.RFC3339), why)
	case left < min(s.NotAfter.Sub(s.NotBefore)/6, lateAfter):
		return fmt.Sprintf("the certificate of %s ends at %s and was not renewed%s", s.Domain, s.NotAfter.UTC().Format(time.RFC3339), why)
	}
	return ""
}

// selfSigned makes the certificate that is used until the CA has given one.
func selfSigned(domains []string) (*tls.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	const life = 10 * 365 * 24 * time.Hour // nobody verifies it
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "kazoohook waits for its certificate"}, DNSNames: domains,
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// detailCore passes the ACME library's log lines to our log, at level debug. ACME
// itself logs what the operator needs to know.
type detailCore struct{ log zerolog.Logger }

// Enabled implements zapcore.Core.
func (c detailCore) Enabled(zapcore.Level) bool { return c.log.GetLevel() <= zerolog.DebugLevel }

// With implements zapcore.Core.
func (c detailCore) With(fields []zapcore.Field) zapcore.Core {
	return detailCore{c.log.With().Fields(plainFields(fields)).Logger()}
}

// Check implements zapcore.Core.
func (c detailCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

// Write implements zapcore.Core.
func (c detailCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.log.Debug().Fields(plainFields(fields)).Str("severity", e.Level.String()).Msg("ACME: " + e.Message)
	return nil
}

// Sync implements zapcore.Core.
func (detailCore) Sync() error { return nil }

func plainFields(fields []zapcore.Field) map[string]any {
	m := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(m)
	}
	delete(m.Fields, "csr_pem")
	return m.Fields
}
