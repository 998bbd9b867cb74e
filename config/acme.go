package config

import (
	"crypto/x509"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// Domains are DNS names in lower case, in their ASCII form (xn--...).
type Domains []string

// dnsName is a name of at least two labels.
var dnsName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// UnmarshalText accepts names separated by commas, each once.
func (d *Domains) UnmarshalText(text []byte) error {
	var out Domains
	var problems []error
	for entry := range strings.SplitSeq(string(text), ",") {
		name := strings.ToLower(strings.TrimSpace(entry))
		if name == "" {
			continue
		}
		if strings.IndexFunc(name, func(r rune) bool { return r > unicode.MaxASCII }) >= 0 {
			if ascii, err := idna.Lookup.ToASCII(name); err == nil {
				name = ascii
			}
		}
		digits := strings.Trim(name, "0123456789.") == "" // an address
		switch {
		case strings.Contains(name, "*"):
			problems = append(problems, valueError{entry, "is a wildcard, for which a CA asks DNS; name each host, or use TLS_CERT_FILE"})
		case !dnsName.MatchString(name) || len(name) > 253 || digits:
			problems = append(problems, valueError{entry, "is not a host name in DNS; use e.g. hooks.example.com"})
		case !slices.Contains(out, name):
			out = append(out, name)
		}
	}
	if problems != nil {
		return errors.Join(problems...)
	}
	*d = out
	return nil
}

// String returns the names separated by commas.
func (d Domains) String() string { return strings.Join(d, ",") }

// acmeListen is the default of LISTEN_ADDR with ACME: the CA, and Kazoo if the URL
// has no port, connect to 443.
const acmeListen = ":443"

// derive sets what was not given and follows from other settings.
func (c *Config) derive() {
	if len(c.AcmeDomains) == 0 {
		return
	}
	if _, given := c.origins["LISTEN_ADDR"]; !given {
		c.ListenAddr = acmeListen
	}
	if _, given := c.origins["PUBLIC_URL"]; !given {
		c.PublicURL = &url.URL{Scheme: "https", Host: c.AcmeDomains[0]}
	}
}

// acme checks the settings for certificates from a CA.
func (v *validator) acme() {
	if len(v.AcmeDomains) == 0 {
		return
	}
	if v.TLSCertFile != "" || v.TLSKeyFile != "" {
		v.fail("ACME_DOMAINS", v.AcmeDomains.String(), "is given together with TLS_CERT_FILE; use either your own certificates or those of a CA")
	}
	if email := v.AcmeEmail; email != "" && (strings.Count(email, "@") != 1 || strings.HasPrefix(email, "@") || strings.HasSuffix(email, "@") || strings.ContainsAny(email, " ,<>")) {
		v.fail("ACME_EMAIL", email, "is not an email address; use e.g. ops@example.com")
	}
	if ca := v.AcmeCA; ca != nil && ca.Scheme != "https" {
		v.fail("ACME_CA", ca.Redacted(), "is not https, without which ACME isn't possible; use the URL of the CA's directory")
	}
	if path := v.AcmeCAFile; path != "" {
		pem, problem := readBounded(path, maxFile)
		if problem == "" && !x509.NewCertPool().AppendCertsFromPEM(pem) {
			problem = "holds no certificate; use a file of PEM certificates"
		}
		if problem != "" {
			v.fail("ACME_CA_FILE", path, "%s", problem)
		}
	}
	if a := v.AcmeHTTPAddr; !a.Off() && !strings.HasSuffix(string(a), ":0") && (a == v.ListenAddr || a == v.AdminAddr) {
		v.fail("ACME_HTTP_ADDR", a.String(), "is another listener's address too; use another, or off")
	}
}
