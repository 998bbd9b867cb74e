package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// minSecret is the length from which a secret can't be guessed in reasonable time.
const minSecret = 16

var (
	urlSafe   = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)
	accountID = regexp.MustCompile(`^[0-9a-f]{32}$`)
	hexDigits = regexp.MustCompile(`^[0-9a-f]*$`) // Kazoo compares them as text
)

// Validate reports every problem of the variables of the groups in need; the error
// is of type Problems. Load calls it. Configurations that are built in code call it
// themselves.
func (c *Config) Validate(need Group) error { return c.validate(need, nil, nil).err() }

// validate checks presence, ranges and variables that depend on each other.
// Variables in bad have a problem already and get no second one.
func (c *Config) validate(need Group, bad map[string]bool, compile Compile) Problems {
	v := validator{Config: c, bad: bad}
	for _, g := range []struct {
		group Group
		check func()
	}{
		{Kazoo, v.kazoo}, {Delivery, v.delivery}, {HookSet, v.hooks}, {Engine, v.engine}, {Listen, v.listen}, {Journal, v.journal},
		{Onward, func() { v.destinations(compile) }}, {Cluster, v.cluster},
	} {
		if need&g.group != 0 {
			g.check()
		}
	}
	return v.problems
}

type validator struct {
	*Config
	bad      map[string]bool
	problems Problems
}

func (v *validator) fail(variable, value, format string, args ...any) {
	if !v.bad[variable] {
		v.problems.add(variable, value, fmt.Sprintf(format, args...))
	}
}

func (v *validator) kazoo() {
	if v.KazooAPIURL == nil {
		v.fail("KAZOO_API_URL", "", "is missing; give the base URL of Kazoo's API, e.g. https://kazoo.example.com:8443")
	}
	v.login()
	if id := v.KazooAccountID; id != "" && !accountID.MatchString(id) {
		v.fail("KAZOO_ACCOUNT_ID", id, "is not an account id; use its 32 lower-case hexadecimal digits")
	}
	if r := v.KazooAPIRate; !(r > 0 && r <= 10) {
		v.fail("KAZOO_API_RATE", fmt.Sprint(r), "is out of range; use more than 0 and at most 10 requests a second, which is all that Kazoo grants")
	}
	if path := v.KazooCAFile; path != "" {
		pem, problem := readBounded(path, maxFile)
		if problem == "" && !x509.NewCertPool().AppendCertsFromPEM(pem) {
			problem = "holds no certificate; use a file of PEM certificates"
		}
		if problem != "" {
			v.fail("KAZOO_CA_FILE", path, "%s", problem)
		}
	}
}

// login checks that exactly one way to log in is given, and given completely.
func (v *validator) login() {
	if v.bad["KAZOO_PASSWORD"] || v.bad["KAZOO_CREDENTIALS"] || v.bad["KAZOO_API_KEY"] {
		return // the way that was meant is not known
	}
	password := v.KazooUsername != "" || !v.KazooPassword.Empty()
	credentials := !v.KazooCredentials.Empty()
	key := !v.KazooAPIKey.Empty()
	switch {
	case !password && !credentials && !key:
		v.fail("KAZOO_USERNAME", "", "is missing; give KAZOO_USERNAME and KAZOO_PASSWORD, or KAZOO_CREDENTIALS, or KAZOO_API_KEY")
		return
	case key && (password || credentials):
		v.fail("KAZOO_API_KEY", "", "is given together with a user's login; use either KAZOO_API_KEY or KAZOO_USERNAME and KAZOO_PASSWORD or KAZOO_CREDENTIALS")
	case password && credentials:
		v.fail("KAZOO_CREDENTIALS", "", "is given together with KAZOO_USERNAME or KAZOO_PASSWORD; use one or the other")
	case password && v.KazooUsername == "":
		v.fail("KAZOO_USERNAME", "", "is missing; KAZOO_PASSWORD needs it")
	case password && v.KazooPassword.Empty():
		v.fail("KAZOO_PASSWORD", "", "is missing; KAZOO_USERNAME needs it")
	}
	if n := len(v.KazooAPIKey.Reveal()); key && n != 64 {
		v.fail("KAZOO_API_KEY", masked, "has %d characters; Kazoo's keys have 64", n)
	}
	if s := v.KazooCredentials.Reveal(); credentials && !v.bad["KAZOO_HASH"] && (len(s) != v.KazooHash.HexLen() || !hexDigits.MatchString(s)) {
		v.fail("KAZOO_CREDENTIALS", masked, "is no %s digest; use the %d lower-case hexadecimal digits of the digest of username:password, or change KAZOO_HASH",
			v.KazooHash, v.KazooHash.HexLen())
	}
	if !password && !credentials {
		return
	}
	switch name, realm := v.KazooAccountName != "", v.KazooAccountRealm != ""; {
	case !name && !realm:
		v.fail("KAZOO_ACCOUNT_NAME", "", "is missing; give KAZOO_ACCOUNT_NAME or KAZOO_ACCOUNT_REALM of the account to log in to")
	case name && realm:
		v.fail("KAZOO_ACCOUNT_REALM", v.KazooAccountRealm, "is given together with KAZOO_ACCOUNT_NAME; use one of them")
	}
}

func (v *validator) delivery() {
	v.publicURL()
	v.secret("HOOK_SECRET", v.HookSecret)
	v.secret("HOOK_SECRET_PREVIOUS", v.HookSecretPrevious)
	if s := v.HookSecretPrevious; !s.Empty() && s.Equal(v.HookSecret) {
		v.fail("HOOK_SECRET_PREVIOUS", masked, "equals HOOK_SECRET; give the former secret, or leave it out")
	}
}

// publicURL refuses a URL that Kazoo would refuse or could not reach (kazoo
// applications/crossbar/src/modules/cb_webhooks.erl; its HTTP client speaks IPv4
// only).
func (v *validator) publicURL() {
	const use = "use the address under which Kazoo reaches this service, e.g. https://hooks.example.com"
	u := v.PublicURL
	if u == nil {
		if !v.bad["ACME_DOMAINS"] { // its first name was meant
			v.fail("PUBLIC_URL", "", "is missing; %s", use)
		}
		return
	}
	if isLocal(u) {
		// In development Kazoo, or the fake, runs on the same machine.
		if v.KazooAPIURL == nil || !isLocal(v.KazooAPIURL) {
			v.fail("PUBLIC_URL", u.Redacted(), "is refused by Kazoo; %s", use)
		}
		return
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && a.Is6() {
		v.fail("PUBLIC_URL", u.Redacted(), "is an IPv6 address and Kazoo posts over IPv4 only; %s", use)
	}
}

// isLocal reports whether the URL's host means the machine itself.
func isLocal(u *url.URL) bool {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	a = a.Unmap()
	return a.IsLoopback() || a.IsUnspecified()
}

// secret checks a segment of the hook's path.
func (v *validator) secret(variable string, s Secret) {
	switch {
	case s.Empty():
	case len(s.Reveal()) < minSecret:
		v.fail(variable, masked, "is too short; use at least %d characters", minSecret)
	case !urlSafe.MatchString(s.Reveal()):
		v.fail(variable, masked, "can't stand in a URL; use only the characters A-Z a-z 0-9 . _ ~ -")
	}
}

func (v *validator) hooks() {
	if len(v.Hooks) == 0 {
		v.fail("HOOKS", "", "names no hook; use hook[:type[:action]], e.g. object:user:doc_deleted")
	}
	if n := v.HookRetries; n < 0 || n > 4 {
		v.fail("HOOK_RETRIES", fmt.Sprint(n), "is out of range; Kazoo accepts 0 to 4")
	}
	// With a space allowed, the name "a" would claim the hooks of the name "a b".
	if n := v.HookName; n == "" || utf8.RuneCountInString(n) > 64 || strings.ContainsFunc(n, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' || r == utf8.RuneError }) {
		v.fail("HOOK_NAME", n, "is not a valid name; use 1 to 64 printable characters without spaces")
	}
}

func (v *validator) engine() {
	v.longEnough("RECONCILE_INTERVAL", v.ReconcileInterval)
	v.longEnough("RESYNC_INTERVAL", v.ResyncInterval)
	if v.AccountsInterval != 0 {
		v.longEnough("ACCOUNTS_INTERVAL", time.Duration(v.AccountsInterval))
	}
	if v.ResyncMaxDeletions < AutoDeletions {
		v.fail("RESYNC_MAX_DELETIONS", v.ResyncMaxDeletions.String(), "is out of range; use a whole number from 1, or auto")
	}
}

// longEnough refuses intervals that would make a busy loop, or no time at all.
func (v *validator) longEnough(variable string, d time.Duration) {
	if d < time.Second {
		v.fail(variable, formatDuration(d), "is too short; use 1s or more")
	}
}

func (v *validator) listen() {
	if v.ListenAddr.Off() {
		v.fail("LISTEN_ADDR", off, "is not possible; use host:port or :port, e.g. :8080")
	}
	if a := v.ListenAddr; a == v.AdminAddr && !a.Off() && !strings.HasSuffix(string(a), ":0") {
		v.fail("ADMIN_ADDR", a.String(), "is the public listener's address too; use another, or off")
	}
	v.certificate()
	v.acme()
	const use = "use at least 16 printable characters without spaces"
	switch token := v.AdminToken; {
	case token.Empty():
		if !v.AdminAddr.Off() && !v.AdminAddr.loopback() {
			v.fail("ADMIN_TOKEN", "", "is missing and ADMIN_ADDR %q can be reached from other machines; %s, or listen on 127.0.0.1", v.AdminAddr, use)
		}
	case len(token.Reveal()) < minSecret:
		v.fail("ADMIN_TOKEN", masked, "is too short; %s", use)
	case strings.ContainsFunc(token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }):
		v.fail("ADMIN_TOKEN", masked, "can't stand in a header; %s", use)
	}
	v.longEnough("SHUTDOWN_TIMEOUT", v.ShutdownTimeout)
}

// certificate checks that certificate and key are both given, or neither.
func (v *validator) certificate() {
	cert, key := v.TLSCertFile, v.TLSKeyFile
	switch {
	case cert == "" && key == "":
		return
	case cert == "":
		v.fail("TLS_CERT_FILE", "", "is missing although TLS_KEY_FILE is given; give both or none")
		return
	case key == "":
		v.fail("TLS_KEY_FILE", "", "is missing although TLS_CERT_FILE is given; give both or none")
		return
	}
	certPEM, certProblem := readBounded(cert, maxFile)
	keyPEM, keyProblem := readBounded(key, maxFile)
	if certProblem != "" {
		v.fail("TLS_CERT_FILE", cert, "%s", certProblem)
	}
	if keyProblem != "" {
		v.fail("TLS_KEY_FILE", key, "%s", keyProblem)
	}
	if certProblem != "" || keyProblem != "" {
		return
	}
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		v.fail("TLS_CERT_FILE", cert, "is not a PEM certificate for the key in TLS_KEY_FILE %q: %s", key, strings.TrimPrefix(err.Error(), "tls: "))
	}
}

// loopback reports whether only this machine can connect.
func (a Addr) loopback() bool {
	host, _, err := net.SplitHostPort(string(a))
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

func (v *validator) journal() {
	if v.DataDir == "" {
		v.fail("DATA_DIR", "", "is missing; give a directory that can be written to")
	}
	v.longEnough("JOURNAL_RETENTION", v.JournalRetention)
	const least Size = 1 << 20
	if s := v.JournalMaxBytes; s != 0 && s < least {
		v.fail("JOURNAL_MAX_BYTES", s.String(), "is too small; use %s or more, or off", least)
	}
	const leastLine Size = 2 << 10
	if s := v.LogLineMax; s != 0 && s < leastLine {
		v.fail("LOG_LINE_MAX", s.String(), "is too small; use %s or more, or off", leastLine)
	}
}
