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

// hint says what a person can do about an error, where that is known.
func (e *Error) hint() string {
	if e.Err != nil {
		return networkHint(e.Err)
	}
	login := e.Op == opLogin
	switch {
	case e.Code == CodeNotJSON:
		return "does KAZOO_API_URL lead to Crossbar (usually port 8000, or 8443 with TLS)?"
	case e.Status == http.StatusUnauthorized && login:
		return "check KAZOO_USERNAME and KAZOO_PASSWORD (or KAZOO_CREDENTIALS), KAZOO_ACCOUNT_NAME or KAZOO_ACCOUNT_REALM, and KAZOO_HASH (md5 or sha1)"
	case e.Status == http.StatusNotFound && login && strings.HasSuffix(e.URL, "/api_auth"):
		return "Kazoo does not know this KAZOO_API_KEY"
	case e.Status == http.StatusUnauthorized:
		return "Kazoo refused a token that it had just given us: check that this login may use the account (KAZOO_ACCOUNT_ID)"
	case e.Status == http.StatusForbidden:
		return "this login may not do that: KAZOO_ACCOUNT_ID must be its own account or a descendant, and its user an administrator"
	case e.Status == http.StatusTooManyRequests:
		return "Kazoo's request budget is used up, perhaps by others at the same address: lower KAZOO_API_RATE"
	}
	return ""
}

func networkHint(err error) string {
	var dns *net.DNSError
	switch {
	case isPlainPort(err):
		return "the server does not speak TLS there: should KAZOO_API_URL begin with http://?"
	case isTLSProblem(err):
		return "Kazoo's certificate cannot be verified: set KAZOO_CA_FILE to the certificate of its CA, and check the host name in KAZOO_API_URL"
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

// isTLSProblem reports an error that asking again does not mend.
func isTLSProblem(err error) bool {
	var verify *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return isPlainPort(err) || errors.As(err, &verify) || errors.As(err, &authority) || errors.As(err, &host) ||
		errors.As(err, &invalid)
}

// isPlainPort reports that the server did not speak TLS where we did.
func isPlainPort(err error) bool {
	var record tls.RecordHeaderError
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record)
}

// details renders Kazoo's validation detail in plain words. Its shape is
// {field: {rule: {"message": ..., "value": ...}}}; anything else is given as it is.
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

// ruleText renders one broken rule: its message, and the value it is about.
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

// plain gives a JSON value for people: short, strings quoted.
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
	return s.line(fmt.Sprintf("KAZOO_API_URL redirects to %s://%s: set it to the address that answers itself", to.Scheme, to.Host), maxWords)
}

var (
	pageTitle = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
	markup    = regexp.MustCompile(`(?s)<[^>]*>`)
)

// notJSONMessage describes an answer that no Crossbar gave.
func notJSONMessage(contentType, body string, err error, s *secrets) string {
	what := "the answer is not Crossbar's JSON"
	if errors.Is(err, errEmptyBody) {
		return "the answer is empty"
	}
	body = s.clean(body) // before what looks like markup is taken out of a secret
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
