package cluster

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// errStranger is the TLS error for a peer that doesn't know the cluster's secret.
var errStranger = errors.New("the other side doesn't know CLUSTER_SECRET")

// trust makes the TLS settings between nodes from the cluster's secrets. Each secret
// yields the key of an authority, the same on every node. A node makes a key for
// itself, and one certificate for it from each authority that it knows. So a node that
// knows two secrets is trusted by nodes that know one of them, and the secret can be
// changed one node at a time.
func trust(secrets ...string) (*tls.Config, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	own := tls.Certificate{PrivateKey: private}
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		authority, key, err := authorityOf(secret)
		if err != nil {
			return nil, err
		}
		roots.AddCert(authority)
		leaf, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()),
			Subject:      pkix.Name{CommonName: "kazoohook node"},
			NotBefore:    authority.NotBefore,
			NotAfter:     authority.NotAfter,
			KeyUsage:     x509.KeyUsageDigitalSignature,
			ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}, authority, public, key)
		if err != nil {
			return nil, fmt.Errorf("make a certificate for the cluster: %w", err)
		}
		own.Certificate = append(own.Certificate, leaf)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{own},
		ClientAuth:   tls.RequireAnyClientCert,
		// Names are not checked: a peer that knows the secret is a node.
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection verifies, on both sides
		VerifyConnection:   func(s tls.ConnectionState) error { return trusted(s, roots) },
	}, nil
}

// trusted returns nil if the other side has a certificate from one of our authorities,
// and proved during the handshake that it has that certificate's key.
func trusted(s tls.ConnectionState, roots *x509.CertPool) error {
	if len(s.PeerCertificates) == 0 {
		return errStranger
	}
	proven, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return errStranger
	}
	for _, c := range s.PeerCertificates {
		if !proven.Equal(c.PublicKey) {
			continue
		}
		_, err := c.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if err == nil {
			return nil
		}
	}
	return errStranger
}

// authorityOf derives an authority from a secret. It is the same on every node: nothing
// in it is random, and it has no end, because the secret has none.
func authorityOf(secret string) (*x509.Certificate, ed25519.PrivateKey, error) {
	seed, err := hkdf.Key(sha256.New, []byte(secret), nil, "kazoohook cluster authority", ed25519.SeedSize)
	if err != nil {
		return nil, nil, err
	}
	key := ed25519.NewKeyFromSeed(seed)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "kazoohook cluster"},
		NotBefore:             time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	c, err := x509.ParseCertificate(der)
	return c, key, err
}
