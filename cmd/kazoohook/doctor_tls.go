package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"kazoohook/server"
)

// expirySoon is the remaining life at which a certificate should have been renewed:
// usual tools renew 30 days before the end.
const expirySoon = 14 * 24 * time.Hour

// checkTLS checks the certificates of PUBLIC_URL.
func (d *doctor) checkTLS(ctx context.Context) ([]finding, bool) {
	u := d.cfg.PublicURL
	if u.Scheme == "http" {
		if a := net.ParseIP(u.Hostname()); a.IsLoopback() || u.Hostname() == "localhost" {
			return one(fine("PUBLIC_URL is plain http, within this machine")), true
		}
		return one(warned("use https, unless the network between Kazoo and the service is trusted",
			"PUBLIC_URL is plain http: the hook's secret and the events can be read on the way")), true
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	dialer := tls.Dialer{Config: &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: true}} //nolint:gosec // verified below, to say what is wrong
	conn, err := dialer.DialContext(ctx, "tcp4", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return one(handshakeFailed(ctx, u.Host, err)), true
	}
	defer func() { _ = conn.Close() }() // nothing was written
	peer := conn.(*tls.Conn).ConnectionState().PeerCertificates
	return one(verified(u.Hostname(), peer, d.cfg.KazooCAFile, time.Now())), true
}

// checkCertificate checks TLS_CERT_FILE as the running service, or the next start,
// reads it. PUBLIC_URL may have a proxy's certificate.
func (d *doctor) checkCertificate(context.Context) ([]finding, bool) {
	cert, key := d.cfg.TLSCertFile, d.cfg.TLSKeyFile
	if len(d.cfg.AcmeDomains) > 0 {
		return d.checkACME(), true
	}
	if cert == "" {
		return one(fine("the public listener doesn't speak TLS by itself (TLS_CERT_FILE, ACME_DOMAINS)")), true
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return one(broken("put the certificate and its key there, as PEM", "TLS_CERT_FILE %s: %v", cert, err)), true
	}
	var chain []*x509.Certificate
	for _, der := range pair.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return one(broken("replace it", "TLS_CERT_FILE %s: %v", cert, err)), true
		}
		chain = append(chain, c)
	}
	return one(verified(d.cfg.PublicURL.Hostname(), chain, d.cfg.KazooCAFile, time.Now())), true
}

// checkACME checks the certificates that the service got from the CA.
func (d *doctor) checkACME() (found []finding) {
	for _, domain := range d.cfg.AcmeDomains {
		chain, err := server.StoredCertificate(filepath.Join(d.cfg.DataDir, acmeDir), acmeCA(d.cfg), domain)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			found = append(found, warned("start the service; its log says what the CA objects to. The CA must reach this host under that name at port 443 or 80",
				"there is no certificate for %s yet (ACME_DOMAINS)", domain))
		case err != nil:
			found = append(found, broken("run doctor as the service's user; if the file is damaged, remove it and restart the service", "%v", err))
		default:
			found = append(found, verified(domain, chain, d.cfg.KazooCAFile, time.Now()))
		}
	}
	return found
}

func handshakeFailed(ctx context.Context, host string, err error) finding {
	var op *net.OpError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record):
		return broken("serve TLS there, or begin PUBLIC_URL with http://", "%s does not speak TLS", host)
	case ctx.Err() != nil, errors.As(err, &op) && op.Op == "dial":
		return skipped("no connection from here to %s (%v); see public_url", host, plainly(ctx, err))
	}
	return broken("correct the TLS settings of what listens there", "%s does not agree on TLS: %v", host, err)
}

// verified verifies a server's certificates with the system's CAs and those of
// caFile: a private CA for Kazoo probably signs both.
func verified(host string, peer []*x509.Certificate, caFile string, now time.Time) finding {
	const kazoo = "; Kazoo 5 verifies it and would not deliver, Kazoo 4 doesn't"
	o := x509.VerifyOptions{DNSName: host, CurrentTime: now, Intermediates: x509.NewCertPool()}
	for _, c := range peer[1:] {
		o.Intermediates.AddCert(c)
	}
	chains, err := peer[0].Verify(o)
	by := ""
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) && caFile != "" {
		pem, readErr := os.ReadFile(caFile)
		if o.Roots = x509.NewCertPool(); readErr == nil && o.Roots.AppendCertsFromPEM(pem) {
			chains, err = peer[0].Verify(o)
			by = " by the CA in KAZOO_CA_FILE, which Kazoo's servers must know too"
		}
	}
	var invalid x509.CertificateInvalidError
	var wrongHost x509.HostnameError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return broken("renew it"+kazoo, "the certificate of %s is not valid at %s: %v", host, now.UTC().Format(time.DateOnly), err)
	case errors.As(err, &wrongHost):
		return broken("use a certificate for the host name in PUBLIC_URL"+kazoo, "the certificate is not for %s: %v", host, err)
	case errors.As(err, &unknown):
		return broken("let the server send its intermediate certificates, or use a certificate of a public CA"+kazoo,
			"the certificate of %s leads to no known CA: %v", host, err)
	case err != nil:
		return broken("replace it"+kazoo, "the certificate of %s can't be verified: %v", host, err)
	}
	ends := chains[0][0].NotAfter
	for _, c := range chains[0] {
		if c.NotAfter.Before(ends) {
			ends = c.NotAfter
		}
	}
	left, day := int(ends.Sub(now).Hours()/24), ends.UTC().Format(time.DateOnly)
	if ends.Sub(now) < expirySoon {
		return warned("renew it"+kazoo, "the certificate of %s is verified%s, but ends in %d days, on %s", host, by, left, day)
	}
	return fine("the certificate of %s is verified%s, %d days left, until %s", host, by, left, day)
}
