package main

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"kazoohook/config"
	"kazoohook/internal/crossbar"
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
	var r redactor
	for _, v := range append(cfg.Secrets(), more...) {
		r.secrets = crossbar.AppendSecret(r.secrets, v)
	}
	// The longest first: one secret may hold another.
	slices.SortFunc(r.secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return r
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
