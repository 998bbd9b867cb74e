package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

func (l *loader) warn(format string, args ...any) {
	l.warnings = append(l.warnings, fmt.Sprintf(format, args...))
}

// unquote removes the quotes around a value of the environment or of a secret's file:
// docker's --env-file, for example, leaves them there. Values that may be any text keep
// them, with a warning.
func (l *loader) unquote(name, text string) string {
	if len(text) < 2 || text[0] != text[len(text)-1] || text[0] != '"' && text[0] != '\'' {
		return text
	}
	if name == "KAZOO_PASSWORD" || name == "ADMIN_TOKEN" {
		l.warn("%s: begins and ends with a quote, which is taken for a part of it; leave the quotes out if they come from an env file", name)
		return text
	}
	l.warn("%s: the quotes around its value are ignored; leave them out, as in an env file for docker", name)
	return text[1 : len(text)-1]
}

// warnOfEdges warns of characters that word processors and careless copies leave
// around a value that may be any text. Nobody sees them, and the error of the login
// doesn't mention them.
func (l *loader) warnOfEdges(v Variable, text string) {
	field := l.config.field(v).Interface()
	if _, secret := field.(Secret); v.lines || !secret && reflect.TypeOf(field) != reflect.TypeFor[string]() {
		return
	}
	const invisible, quotes = "\u200b\u200c\u200d\u2060\ufeff", "“”„‟‘’‚‛«»‹›"
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	for _, edge := range []struct {
		r     rune
		where string
	}{{first, "begins"}, {last, "ends"}} {
		var what string
		switch {
		case unicode.IsSpace(edge.r) || strings.ContainsRune(invisible, edge.r):
			what = "a blank or an invisible character"
		case strings.ContainsRune(quotes, edge.r):
			what = "a typographic quote"
		default:
			continue
		}
		l.warn("%s: %s with %s, which is taken for a part of it; leave it out unless it is meant", v.Name, edge.where, what)
	}
}

// shortMemory is the shortest sensible retention: until then Kazoo's record may show
// an event again, as a failed attempt.
const shortMemory = 10 * time.Minute

// warnings returns sentences about what is allowed but probably not meant.
func (c *Config) warnings(need Group, env values) []string {
	out := misspelt(env)
	warn := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if need&Kazoo != 0 {
		if c.KazooInsecureTLS {
			warn("KAZOO_INSECURE_TLS: Kazoo's certificate is not verified; anyone between us and Kazoo can take the login. Use KAZOO_CA_FILE")
		}
		if !c.KazooAPIKey.Empty() && (c.KazooAccountName != "" || c.KazooAccountRealm != "") {
			warn("KAZOO_ACCOUNT_NAME, KAZOO_ACCOUNT_REALM: have no effect with KAZOO_API_KEY; use KAZOO_ACCOUNT_ID to choose an account")
		}
	}
	if need&(Listen|Delivery) == Listen|Delivery && c.TLSCertFile != "" && c.PublicURL != nil && c.PublicURL.Scheme == "http" {
		warn("PUBLIC_URL: begins with http:// although the listener speaks TLS (TLS_CERT_FILE); nothing arrives unless a proxy is in between")
	}
	if need&Listen != 0 && len(c.AcmeDomains) == 0 && (c.AcmeCA != nil || c.AcmeCAFile != "" || c.AcmeEmail != "") {
		warn("ACME_CA, ACME_CA_FILE, ACME_EMAIL: have no effect without ACME_DOMAINS")
	}
	if u := c.PublicURL; need&(Listen|Delivery) == Listen|Delivery && len(c.AcmeDomains) > 0 && u != nil {
		switch {
		case u.Scheme == "http":
			warn("PUBLIC_URL: begins with http:// although the listener speaks TLS (ACME_DOMAINS); nothing arrives unless a proxy is in between")
		case !slices.Contains(c.AcmeDomains, strings.ToLower(u.Hostname())):
			warn("PUBLIC_URL: its host %s is none of ACME_DOMAINS, so no certificate is for it", u.Hostname())
		}
	}
	if need&Cluster != 0 {
		c.warnOfCluster(warn)
	}
	if need&Journal != 0 && c.JournalRetention < shortMemory {
		warn("JOURNAL_RETENTION: %s is less than %s; an event whose answer to Kazoo was lost may then become two events", formatDuration(c.JournalRetention), formatDuration(shortMemory))
	}
	if need&HookSet != 0 {
		if c.HookFormat == FormatForm && c.KazooHMAC != HMACOff {
			warn("HOOK_FORMAT: with form-data requests are not signed, because a form can't be verified")
		}
		for _, h := range c.Hooks {
			if h.Hook == "object" && !slices.Contains(objectTypes(), h.Type) {
				warn("HOOKS: %q has a type that is not known here; known are %s", h, strings.Join(objectTypes(), ", "))
			}
			if h.Hook == all && len(c.Hooks) > 1 {
				warn("HOOKS: \"all\" covers the other hooks too; their events come twice")
			}
		}
	}
	return out
}
