package delivery

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Headers of a request that only the sender sets, in canonical form.
var ownHeaders = []string{
	"Connection", "Content-Encoding", "Content-Length", "Expect", "Host", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection",
	"Te", "Traceparent", "Trailer", "Transfer-Encoding", "Upgrade",
}

// check reports what is wrong with the settings.
func (s *HTTPSettings) check(p *problems) {
	if u, err := url.Parse(s.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		p.add("url", "it is no URL that begins with http:// or https:// and a host") // not quoted: it may hold a secret
	} else {
		checkURL(u, p)
	}
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		place := "headers." + name
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			p.add("headers", "%s is not a valid header name", quoted(name))
		case strings.HasPrefix(strings.ToLower(name), "webhook-"), slices.Contains(ownHeaders, canonical):
			p.add(place, "this header is set by the sender and can't be replaced")
		case !httpguts.ValidHeaderFieldValue(s.Headers[name]):
			p.add(place, "the value holds a character that no header may have, such as the end of a line")
		case seen[canonical] != "":
			p.add(place, "it is the same header as %s", seen[canonical])
		}
		seen[canonical] = name
	}
	for i, key := range s.Keys {
		if len(key) == 0 {
			p.add("secret", "key %d is empty", i+1)
		}
	}
	if _, err := s.tls(); err != nil {
		var bad *Problem
		if errors.As(err, &bad) {
			*p = append(*p, *bad)
		}
	}
}

func checkURL(u *url.URL, p *problems) {
	if u.Fragment != "" {
		p.add("url", "what follows # is never sent: leave it out")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			p.add("url", "the port %s is not between 1 and 65535", quoted(port))
		}
	}
	if u.Hostname() == "" {
		p.add("url", "the host is missing")
	}
	if isMetadataHost(u.Hostname()) {
		p.add("url", "%s is %w", u.Hostname(), errMetadata)
	}
}

// warnings names settings that expose secrets.
func (s *HTTPSettings) warnings() []string {
	var w []string
	for i, key := range s.Keys {
		if n := len(key); n > 0 && n < weakKey {
			w = append(w, fmt.Sprintf("secret: key %d has %d bytes; Standard Webhooks wants %d to 64, as `echo whsec_$(openssl rand -base64 32)` makes", i+1, n, weakKey))
		}
	}
	if u, err := url.Parse(s.URL); err == nil && u.Scheme == "http" && u.User != nil {
		w = append(w, "url: the password crosses the network in clear text: use https")
	}
	return w
}

// Error makes a Problem an error.
func (p *Problem) Error() string { return p.Place + ": " + p.Err.Error() }

// tls returns the TLS configuration. The error is a *Problem.
func (s *HTTPSettings) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(s.CA) > 0 {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(s.CA) {
			return nil, &Problem{"ca_file", errors.New("it holds no certificate in PEM")}
		}
	}
	switch {
	case len(s.Cert) == 0 && len(s.Key) == 0:
		return c, nil
	case len(s.Cert) == 0:
		return nil, &Problem{"cert_file", errors.New("it is missing, but there is a key_file")}
	case len(s.Key) == 0:
		return nil, &Problem{"key_file", errors.New("it is missing, but there is a cert_file")}
	}
	pair, err := tls.X509KeyPair(s.Cert, s.Key)
	if err != nil {
		return nil, &Problem{"cert_file", fmt.Errorf("it and key_file are no certificate with its key: %w", err)}
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}
