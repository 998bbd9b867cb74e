package main

import (
	"crypto/md5"  //nolint:gosec // Kazoo's credentials are such a digest
	"crypto/sha1" //nolint:gosec // or such a one
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"kazoohook/config"
	"kazoohook/internal/redact"
)

// learnSecrets adds every secret of cfg to a redactor, and what is derived from the
// password: Kazoo's credentials, and Basic auth, which the redactor may not
// recognise if the password is short.
func learnSecrets(r *redact.Redactor, cfg *config.Config) {
	r.Add(cfg.Secrets()...)
	if cfg.KazooPassword.Empty() {
		return
	}
	for _, name := range []string{cfg.KazooUsername, strings.ToLower(cfg.KazooUsername)} {
		login := []byte(name + ":" + cfg.KazooPassword.Reveal())
		byMD5, bySHA1 := md5.Sum(login), sha1.Sum(login) //nolint:gosec // see above
		r.Add(string(login), hex.EncodeToString(byMD5[:]), hex.EncodeToString(bySHA1[:]), base64.StdEncoding.EncodeToString(login))
	}
}

// commonPassword returns a warning if the password can't be masked in every text,
// "" otherwise.
func commonPassword(cfg *config.Config) string {
	if !redact.Common(cfg.KazooPassword.Reveal()) {
		return ""
	}
	return "KAZOO_PASSWORD: is so short or plain that it can be guessed and looks like an ordinary word, so it is masked only where it is named as a password; choose a longer one"
}

// maskedWriter masks secrets in text. Each write must hold whole words.
type maskedWriter struct {
	io.Writer
	secrets *redact.Redactor
}

// Write writes p without secrets.
func (w maskedWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.Writer, w.secrets.String(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// unmasked returns the writer behind a maskedWriter, for callers that need its file
// or mask themselves.
func unmasked(w io.Writer) io.Writer {
	if m, ok := w.(maskedWriter); ok {
		return m.Writer
	}
	return w
}

var (
	// foreignSegment matches the secret of another installation in a hook's URI.
	foreignSegment = regexp.MustCompile(`(?i)((?:/|%2f)kazoo(?:/|%2f)(?:kazoo(?:/|%2f))*)[A-Za-z0-9._~+=-]+`)
	// userInfo matches name and password in a URL.
	userInfo = regexp.MustCompile(`(://)[^/\s@"'<>]+@`)
)

// withoutForeign masks secrets in URIs that this process doesn't know.
func withoutForeign(s string) string {
	s = foreignSegment.ReplaceAllString(s, "${1}"+redact.Mask)
	return userInfo.ReplaceAllString(s, "${1}"+redact.Mask+"@")
}

// hookSecretState is the hook secret, as known without generating one.
type hookSecretState struct {
	value string // never empty unless err is set: plan's stand-in before the first start
	known bool   // value is the real one
	err   error
}

// readHookSecret waits no longer than limit, because a network file system may
// hang.
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
