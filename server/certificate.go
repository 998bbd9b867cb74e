package server

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// KeyPair is a certificate and its key, in PEM files that are read again when
// they change. Safe for concurrent use.
type KeyPair struct {
	certFile, keyFile string
	log               zerolog.Logger
	now               func() time.Time

	mu        sync.Mutex
	cert, key []byte // as last read, valid or not
	current   *tls.Certificate
	looked    time.Time
	failed    error // of the last check; nil: the files hold current

	failingSince time.Time
}

// lookEvery is the shortest time between two checks of the files; a new connection
// starts a check.
const lookEvery = 10 * time.Second

// LoadKeyPair reads the files. Later errors are logged, for example when the
// certificate is replaced before its key, and the previous pair stays in use.
func LoadKeyPair(certFile, keyFile string, log zerolog.Logger) (*KeyPair, error) {
	k := &KeyPair{certFile: certFile, keyFile: keyFile, log: log, now: time.Now}
	err := k.Reload()
	return k, err
}

// Reload reads the files now, if they have changed.
func (k *KeyPair) Reload() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reload()
}

func (k *KeyPair) reload() error {
	k.looked = k.now()
	cert, err := os.ReadFile(k.certFile)
	key, keyErr := os.ReadFile(k.keyFile)
	if err = errors.Join(err, keyErr); err == nil && bytes.Equal(cert, k.cert) && bytes.Equal(key, k.key) {
		return k.failed
	}
	var pair tls.Certificate
	if err == nil {
		k.cert, k.key = cert, key
		pair, err = tls.X509KeyPair(cert, key)
	}
	if err != nil {
		err = fmt.Errorf("read the certificate %s with the key %s: %w", k.certFile, k.keyFile, err)
		if k.current != nil && (k.failed == nil || k.failed.Error() != err.Error()) {
			k.log.Error().Err(err).Msg("the new certificate can't be used: the previous one stays in use")
		}
		if k.failed == nil {
			k.failingSince = k.looked
		}
		k.failed = err
		return err
	}
	if k.current != nil {
		k.log.Info().Time("not_after", pair.Leaf.NotAfter).Strs("names", pair.Leaf.DNSNames).Msg("certificate read again")
	}
	k.current, k.failed, k.failingSince = &pair, nil, time.Time{}
	return nil
}

// get implements GetCertificate of tls.Config.
func (k *KeyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.now().Sub(k.looked) >= lookEvery {
		_ = k.reload() // it is logged
	}
	return k.current, nil
}

// TLSConfig returns the public listener's TLS settings with the pair.
func (k *KeyPair) TLSConfig() *tls.Config { return tlsConfig(k.get) }

// States returns the state of the pair's certificate.
func (k *KeyPair) States() []CertificateState {
	k.mu.Lock()
	defer k.mu.Unlock()
	leaf := k.current.Leaf
	s := CertificateState{Domain: leaf.Subject.CommonName, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, FailingSince: k.failingSince}
	if len(leaf.DNSNames) > 0 {
		s.Domain = leaf.DNSNames[0]
	}
	if k.failed != nil {
		s.Error = k.failed.Error()
	}
	return []CertificateState{s}
}

// tlsConfig returns the public listener's TLS settings. Kazoo 4 runs on Erlang
// releases (OTP 19 to 21) that know TLS up to 1.2. Where their OpenSSL was built
// without elliptic curves, they know RSA key exchange only. Go offers that only if
// the cipher suites are listed.
func tlsConfig(get func(*tls.ClientHelloInfo) (*tls.Certificate, error), protocols ...string) *tls.Config {
	suites := []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA,
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: suites, GetCertificate: get, NextProtos: protocols}
}
