package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Address is a URL that may hold secrets: a password, a parameter, or a part of its
// path (chat services have those). It prints itself without them.
type Address struct{ value Secret }

// NewAddress makes an Address from a URL.
func NewAddress(s string) Address { return Address{NewSecret(s)} }

// Reveal returns the whole URL.
func (a Address) Reveal() string { return a.value.Reveal() }

// Empty reports whether there is none.
func (a Address) Empty() bool { return a.value.Empty() }

// Equal reports whether both are the same URL.
func (a Address) Equal(other Address) bool { return a.value.Equal(other.value) }

// String returns the URL with its secrets masked.
func (a Address) String() string {
	s, _ := a.split()
	return s
}

// Format prints the masked URL whatever the verb.
func (a Address) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(a.String())) }

// MarshalText returns the masked URL.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText accepts an absolute http or https URL.
func (a *Address) UnmarshalText(text []byte) error {
	*a = NewAddress(string(text))
	if a.Empty() {
		return nil
	}
	if err := checkAddress(a.Reveal(), "http", "https"); err != nil {
		return valueError{a.String(), err.Error()}
	}
	return nil
}

// checkAddress checks that text is an absolute URL with one of the schemes. The
// errors of net/url repeat their input, so they are not passed on.
func checkAddress(text string, schemes ...string) error {
	use := "use e.g. " + schemes[0] + "://example.com"
	u, err := url.Parse(text)
	if err != nil || strings.ContainsFunc(text, unicode.IsSpace) {
		return errors.New("is not a URL; " + use)
	}
	known := false
	for _, s := range schemes {
		known = known || u.Scheme == s
	}
	if !known || u.Hostname() == "" {
		return fmt.Errorf("is not an absolute URL that begins with %s://; %s", strings.Join(schemes, ":// or "), use)
	}
	if u.Fragment != "" || strings.HasSuffix(text, "#") {
		return errors.New("holds a #, which is never sent; leave it out")
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("has no valid port; use 1 to 65535")
		}
	}
	return nil
}

var (
	// loginPart matches the login before the host; a password may hold an @.
	loginPart = regexp.MustCompile(`^([^/?#]*//)([^/?#]+)@`)
	// nextServer matches the start of a further server: NATS takes several.
	nextServer = regexp.MustCompile(`,\s*[a-z]+://`)
	// longPart matches a part of a path, or a parameter's value, that is long
	// enough to be a secret. Telegram's tokens hold a colon.
	longPart = regexp.MustCompile(`^[A-Za-z0-9_~.=:%+-]{16,}$`)
	// mixedPart matches a part that may be a short secret: it is neither a version
	// (v2) nor a year. It is masked in the URL only, because it may also be a name.
	mixedPart = regexp.MustCompile(`^[A-Za-z0-9_~.=:+-]{8,}$`)
	// inEvents matches one of Kazoo's ids or a realm. Events are full of them, so
	// they are masked in the URL only.
	inEvents = regexp.MustCompile(`^([0-9a-f]{32}|[a-z0-9-]+(\.[a-z0-9-]+)+)$`)
)

// split returns the URL with its secret parts masked, and the secret parts as the
// URL spells them, without ids and realms.
func (a Address) split() (shown string, parts []string) {
	s := a.Reveal()
	if at := nextServer.FindStringIndex(s); at != nil {
		one, partsOfOne := NewAddress(s[:at[0]]).split()
		others, partsOfOthers := NewAddress(s[at[0]+1:]).split()
		return one + "," + others, append(partsOfOne, partsOfOthers...)
	}
	head := ""
	if m := loginPart.FindStringSubmatch(s); m != nil {
		head, s, parts = m[1]+masked+"@", s[len(m[0]):], append(parts, m[2])
	} else if i := strings.Index(s, "//"); i >= 0 {
		head, s = s[:i+2], s[i+2:]
	}
	path, query, asked := strings.Cut(s, "?")
	segments := strings.Split(path, "/")
	for i, segment := range segments[1:] {
		if !mayBeSecret(segment) {
			continue
		}
		segments[i+1] = masked
		if looksSecret(segment) && !inEvents.MatchString(segment) {
			parts = append(parts, segment)
		}
	}
	shown = head + strings.Join(segments, "/")
	if !asked {
		return shown, parts
	}
	fields := strings.Split(query, "&")
	for i, field := range fields {
		if name, value, ok := strings.Cut(field, "="); ok && value != "" && value != masked && (secretName(name) || mayBeSecret(value)) {
			fields[i] = name + "=" + masked
			if secretName(name) || looksSecret(value) && !inEvents.MatchString(value) {
				parts = append(parts, value)
			}
		}
	}
	return shown + "?" + strings.Join(fields, "&"), parts
}

// looksSecret reports whether a part of a URL is as long and mixed as a token.
func looksSecret(part string) bool { return longPart.MatchString(part) && mixed(part) }

// mayBeSecret reports whether a part is as mixed as a token, and not very short.
func mayBeSecret(part string) bool {
	return looksSecret(part) || mixedPart.MatchString(part) && mixed(part)
}

func mixed(part string) bool {
	return strings.ContainsFunc(part, unicode.IsDigit) && strings.ContainsFunc(part, unicode.IsLetter)
}

// secrets returns the secret parts, both URL-encoded and decoded. Only the password
// of a login is secret.
func (a Address) secrets() (list []string) {
	_, parts := a.split()
	for _, part := range parts {
		if _, password, ok := strings.Cut(part, ":"); ok && strings.Contains(a.Reveal(), "//"+part+"@") {
			part = password
		}
		list = append(list, part)
		if plain, err := url.PathUnescape(part); err == nil && plain != part {
			list = append(list, plain)
		}
	}
	return list
}
