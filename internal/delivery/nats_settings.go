package delivery

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"unicode"

	"github.com/nats-io/nkeys"
)

// check reports what is wrong with the settings. The subject is tried on samples
// elsewhere.
func (s *NATSSettings) check(p *problems) {
	if _, err := s.servers(); err != nil {
		p.add("url", "%w", err)
	}
	if s.Credentials == "" {
		return
	}
	content, err := os.ReadFile(s.Credentials)
	if err != nil {
		p.add("credentials_file", "it can't be read: %w", err)
		return
	}
	_, tokenErr := nkeys.ParseDecoratedJWT(content)
	_, keyErr := nkeys.ParseDecoratedUserNKey(content)
	if tokenErr != nil || keyErr != nil {
		p.add("credentials_file", "%s is not a credentials file of NATS, with a user's JWT and seed", quoted(s.Credentials))
	}
}

// servers parses the URL, or several separated by commas. An error doesn't quote it: it
// may hold a password.
func (s *NATSSettings) servers() ([]*url.URL, error) {
	var servers []*url.URL
	for part := range strings.SplitSeq(s.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(part))
		switch {
		case err != nil || u.Hostname() == "":
			return nil, errors.New("it is no URL that begins with nats:// or tls:// and a host (several are separated by commas)")
		case u.Scheme != "nats" && u.Scheme != "tls" && u.Scheme != "ws" && u.Scheme != "wss":
			return nil, errors.New("it is no URL that begins with nats:// or tls:// (or ws://, wss://)")
		case isMetadataHost(u.Hostname()):
			return nil, fmt.Errorf("%s is %w", u.Hostname(), errMetadata)
		}
		servers = append(servers, u)
	}
	return servers, nil
}

// checkSubject reports whether a subject can be published to.
func checkSubject(subject string) error {
	switch {
	case len(subject) > maxRoute:
		return fmt.Errorf("it makes a subject of %d bytes: the most is %d", len(subject), maxRoute)
	case strings.ContainsFunc(subject, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == unicode.ReplacementChar }):
		return fmt.Errorf("it makes the subject %s: a subject holds no blank", quoted(subject))
	case strings.ContainsAny(subject, "*>"):
		return fmt.Errorf("it makes the subject %s: * and > are wildcards of those who subscribe", quoted(subject))
	case strings.HasPrefix(subject, "$"):
		return fmt.Errorf("it makes the subject %s: those that begin with $ are the server's own", quoted(subject))
	}
	for token := range strings.SplitSeq(subject, ".") {
		if token == "" {
			return fmt.Errorf("it makes the subject %s: nothing stands before, between or after a dot", quoted(subject))
		}
	}
	return nil
}
