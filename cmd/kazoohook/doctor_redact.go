package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"kazoohook/config"
)

// redactor takes secrets out of what is printed. Kazoo's answers repeat our
// hooks' URIs, which hold one.
type redactor struct{ secrets []string }

var (
	// hookSegment is the secret segment of a hook's URI, also one that was never ours.
	hookSegment = regexp.MustCompile(`(?i)((?:/|%2f)kazoo(?:/|%2f))[A-Za-z0-9._~+=-]+`)
	// userInfo is name and password in a URL.
	userInfo = regexp.MustCompile(`(://)[^/\s@"'<>]+@`)
)

func newRedactor(cfg *config.Config, more ...string) redactor {
	values := append(cfg.Secrets(), more...)
	var r redactor
	for _, v := range values {
		// Masking what is shorter would make text unreadable, and it is no secret.
		if len(v) >= 4 {
			r.secrets = append(r.secrets, v, url.PathEscape(v), url.QueryEscape(v), jsonEscape(v, true), jsonEscape(v, false))
		}
	}
	// The longest first: one secret may hold another.
	slices.SortFunc(r.secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return r
}

// jsonEscape gives a text as it stands in JSON, between the quotes.
func jsonEscape(v string, html bool) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(html)
	if enc.Encode(v) != nil {
		return v
	}
	quoted := bytes.TrimSpace(b.Bytes())
	return string(quoted[1 : len(quoted)-1])
}

// line returns a text on one line, without secrets and control characters.
func (r redactor) line(s string) string {
	const mask = "***"
	for _, v := range r.secrets {
		s = strings.ReplaceAll(s, v, mask)
	}
	s = hookSegment.ReplaceAllString(s, "${1}"+mask)
	s = userInfo.ReplaceAllString(s, "${1}"+mask+"@")
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == '\u2028' || c == '\u2029' {
			return ' '
		}
		return c
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// hookSecretState is the hook secret as far as it can be known without making one.
type hookSecretState struct {
	value string // never empty unless err is set: plan's stand-in before the first start
	known bool   // value is the real one
	err   error
}

// readHookSecret waits no longer than limit, as for a network file system that
// hangs.
func readHookSecret(cfg *config.Config, limit time.Duration) hookSecretState {
	got := make(chan hookSecretState, 1)
	go func() {
		_, err := os.Stat(filepath.Join(cfg.DataDir, config.SecretFile))
		s := hookSecretState{known: !cfg.HookSecret.Empty() || !os.IsNotExist(err)}
		s.value, s.err = currentSecret(cfg)
		got <- s
	}()
	select {
	case s := <-got:
		return s
	case <-time.After(limit):
		return hookSecretState{err: errors.New("DATA_DIR doesn't answer")}
	}
}
