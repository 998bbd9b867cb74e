package crossbar

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// newTransport returns a transport that honours the environment's proxy and trusts
// the system's certificates and those of caFile.
func newTransport(caFile string, insecure bool) (*http.Transport, error) {
	pool, err := certPool(caFile)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        8,
		MaxIdleConnsPerHost: 4,
		// Below the idle timeout of Crossbar's listener, 60 s: if Crossbar closes a
		// connection during a request, the outcome is unknown.
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			RootCAs:            pool,
			InsecureSkipVerify: insecure, //nolint:gosec // the operator's explicit choice, warned about
		},
	}, nil
}

// certPool returns the system's pool with the certificates of file added, or nil
// without a file, which means the system's pool.
func certPool(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("crossbar: reading KAZOO_CA_FILE: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		// Without a system pool (a bare container image) only the file is trusted.
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("crossbar: KAZOO_CA_FILE %s holds no PEM certificate", file)
	}
	return pool, nil
}
