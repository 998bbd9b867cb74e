package crossbar

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// hint returns what the operator can do about an error, if that is known.
func (e *Error) hint() string {
	if e.Err != nil {
		return networkHint(e.Err)
	}
	login := e.Op == opLogin
	switch {
	case e.Code == CodeNotJSON && speaksTLS(e.Message):
		return hintHTTPS
	case e.Code == CodeNotJSON:
		return "does KAZOO_API_URL lead to Crossbar (usually port 8000, or 8443 with TLS)?"
	case e.Status == http.StatusUnauthorized && login:
		return "check KAZOO_USERNAME and KAZOO_PASSWORD (or KAZOO_CREDENTIALS), KAZOO_HASH (md5 or sha1), and KAZOO_ACCOUNT_NAME or KAZOO_ACCOUNT_REALM, the account in which the user is: Kazoo doesn't say which of them is wrong"
	case e.Status == http.StatusNotFound && login && strings.HasSuffix(e.URL, "/api_auth"):
		return "Kazoo does not know this KAZOO_API_KEY"
	case e.Status == http.StatusNotFound && login:
		return "there is no login at this address: does KAZOO_API_URL hold a path that is not Crossbar's? /v2 is added to it"
	case e.Status == http.StatusUnauthorized && !e.tokenSent:
		return "this needs no login to Kazoo, so a proxy before it may ask for one: does KAZOO_API_URL lead to Crossbar (usually port 8000, or 8443 with TLS)?"
	case e.Status == http.StatusUnauthorized:
		return "Kazoo refused a token that it had just given us: check that this login may use the account (KAZOO_ACCOUNT_ID)"
	case e.Status == http.StatusForbidden:
		return "this login may not do that: KAZOO_ACCOUNT_ID must be its own account or a descendant, and its user an administrator"
	case e.Status == http.StatusTooManyRequests:
		return "Kazoo's request budget is used up, perhaps by others at the same address: lower KAZOO_API_RATE"
	}
	return ""
}

const (
	hintHTTPS = "the server speaks TLS there: KAZOO_API_URL should begin with https://"
	hintCA    = "Kazoo's certificate cannot be verified: set KAZOO_CA_FILE to the certificate of its CA"
)

func networkHint(err error) string {
	var dns *net.DNSError
	switch {
	case isTLSProblem(err):
		return tlsHint(err)
	case speaksTLS(err.Error()):
		return hintHTTPS
	case errors.As(err, &dns):
		return "the host name in KAZOO_API_URL cannot be resolved: check its spelling and the DNS server"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: check host and port in KAZOO_API_URL, and whether Kazoo is running"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to Kazoo: check the network"
	case errors.Is(err, ErrTimeout):
		return "Kazoo is down or slow, or a firewall drops our packets"
	}
	return ""
}

// speaksTLS recognises the answers of servers to plain HTTP on a TLS port: an alert
// in place of an answer, or a page of Go, nginx or Apache.
func speaksTLS(words string) bool {
	for _, sign := range []string{
		`malformed HTTP response "\x15\x03`, "HTTP request to an HTTPS server", "plain HTTP request was sent to HTTPS port",
		"speaking plain HTTP to an SSL-enabled server port",
	} {
		if strings.Contains(words, sign) {
			return true
		}
	}
	return false
}

// The alerts with which a server refuses a handshake, as crypto/tls words them:
// their type is not exported.
const (
	alertHandshakeFailure = "tls: handshake failure"
	alertProtocolVersion  = "tls: protocol version not supported"
)

// refusedBy reports whether the server ended the handshake with an alert.
func refusedBy(err error, alert string) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error" && op.Err.Error() == alert
}

// tlsHint returns what the operator can do about a TLS problem.
func tlsHint(err error) string {
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case isPlainPort(err):
		return "the server does not speak TLS there: should KAZOO_API_URL begin with http://?"
	case refusedBy(err, alertProtocolVersion), isOldServer(err):
		return "the server offers no TLS newer than 1.1, which is not used any more: enable TLS 1.2 or 1.3 in Kazoo or in a proxy before it"
	case refusedBy(err, alertHandshakeFailure):
		return "the server and kazoohook have no cipher suite in common, as where it offers RSA key exchange only: enable suites with ECDHE in Kazoo or in a proxy before it"
	case errors.As(err, &host) && len(host.Certificate.DNSNames)+len(host.Certificate.IPAddresses) == 0:
		return "Kazoo's certificate names its host in the common name alone, which is not used any more: issue one with a subjectAltName"
	case errors.As(err, &host):
		return "Kazoo's certificate is for another host: use the certificate's host name in KAZOO_API_URL"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "Kazoo's certificate has expired or is not valid yet: renew it, and compare the clocks"
	}
	return hintCA
}

// isTLSProblem reports whether err is a TLS error, which a retry doesn't change.
func isTLSProblem(err error) bool {
	var verify *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return isPlainPort(err) || errors.As(err, &verify) || errors.As(err, &authority) || errors.As(err, &host) ||
		errors.As(err, &invalid) || refusedBy(err, alertHandshakeFailure) || refusedBy(err, alertProtocolVersion) || isOldServer(err)
}

// isOldServer recognises a server that answered with an older TLS version than was
// offered. Go has no type for that error.
func isOldServer(err error) bool {
	return strings.Contains(err.Error(), "tls: server selected unsupported protocol version")
}

// isPlainPort reports whether the server doesn't speak TLS at this port.
func isPlainPort(err error) bool {
	var record tls.RecordHeaderError
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record)
}

// details renders Kazoo's validation detail in plain words. Its shape is {field:
// {rule: {"message": ..., "value": ...}}}; anything else is returned unchanged.
func (e *Error) details() string {
	var fields map[string]json.RawMessage
	if len(e.Detail) == 0 {
		return ""
	}
	if json.Unmarshal(e.Detail, &fields) != nil {
		return clip(flat(text(e.Detail)), maxWords)
	}
	var parts []string
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		var rules map[string]json.RawMessage
		if json.Unmarshal(fields[field], &rules) != nil {
			switch s := text(fields[field]); {
			case field == "message" && s == e.Message:
			case field == "message":
				parts = append(parts, s)
			default:
				parts = append(parts, field+": "+plain(fields[field]))
			}
			continue
		}
		for _, rule := range slices.Sorted(maps.Keys(rules)) {
			parts = append(parts, field+": "+ruleText(rule, rules[rule]))
		}
	}
	return clip(flat(strings.Join(parts, "; ")), 2*maxWords)
}

// ruleText renders one broken rule: its message and the value.
func ruleText(rule string, raw json.RawMessage) string {
	var broken map[string]json.RawMessage
	if json.Unmarshal(raw, &broken) != nil {
		return rule + " " + plain(raw)
	}
	s := text(broken["message"])
	if s == "" {
		s = rule
	}
	var notes []string
	for _, key := range []string{"value", "cause", "target"} {
		if v, ok := broken[key]; ok && string(v) != "null" {
			notes = append(notes, key+" "+plain(v))
		}
	}
	if len(notes) > 0 {
		s += " (" + strings.Join(notes, ", ") + ")"
	}
	return s
}

// plain renders a JSON value for people: short, strings quoted.
func plain(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return "?"
	}
	return clip(b.String(), 160)
}

func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}

func redirectMessage(resp *http.Response, s *secrets) string {
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || to.Host == "" {
		return "KAZOO_API_URL is answered with a redirect, which is not followed"
	}
	return s.line(fmt.Sprintf("KAZOO_API_URL redirects to %s://%s: set it to that address if it is Kazoo's API", to.Scheme, to.Host), maxWords)
}

var (
	pageTitle = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
	markup    = regexp.MustCompile(`(?s)<[^>]*>`)
)

// notJSONMessage describes an answer that isn't Crossbar's.
func notJSONMessage(contentType, body string, err error, s *secrets) string {
	what := "the answer is not Crossbar's JSON"
	if errors.Is(err, errEmptyBody) {
		return "the answer is empty"
	}
	if speaksTLS(body) {
		return what + " but a page: a plain HTTP request was sent to HTTPS port"
	}
	body = s.clean(body) // first, because removing markup could change a secret
	if m := pageTitle.FindStringSubmatch(body); m != nil {
		body = m[1]
	} else {
		body = markup.ReplaceAllString(body, " ")
	}
	if contentType != "" {
		what += " but " + contentType
	}
	if body = s.line(body, 120); body != "" {
		what += fmt.Sprintf(" (%q)", body)
	}
	return s.line(what, maxWords)
}
