package registration

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// secretSegment matches the secret segment of a hook URI, after the last /kazoo/:
// PUBLIC_URL may contain that word too.
var secretSegment = regexp.MustCompile(`((?:/kazoo)+/)[^/\s"'<>]+`)

// redactURI masks the secret segment of URIs in a text, also of secrets that aren't
// ours. Ours are masked by value everywhere.
func redactURI(text string) string { return secretSegment.ReplaceAllString(text, "${1}***") }

// ourSecret reports whether a URI has one of our secrets.
func ourSecret(uri string, secrets ...string) bool {
	u, err := url.Parse(uri)
	if err != nil {
		return false
	}
	before, _ := path.Split(strings.TrimSuffix(u.Path, "/"))
	dir, secret := path.Split(strings.TrimSuffix(before, "/"))
	return secret != "" && strings.HasSuffix(dir, "/kazoo/") && slices.Contains(secrets, secret)
}
