package config

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// masked replaces a secret wherever it would be shown.
const masked = "***"

// Secret is a value that masks itself whenever it is printed, logged or
// marshalled. The value sits behind a pointer because fmt calls no methods on
// unexported fields: there it prints an address.
type Secret struct{ value *string }

// NewSecret makes a secret of s; an empty s is no secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{value: &s}
}

// Reveal returns the value itself.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.value == nil }

// Equal compares in time that depends only on the lengths.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String returns "***", or "" where there is no value.
func (s Secret) String() string {
	if s.Empty() {
		return ""
	}
	return masked
}

// Format prints the mask whatever the verb, %#v and %x included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText returns the mask; JSON and XML encoders use it too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML returns the mask.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// LogValue returns the mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// UnmarshalText sets the value.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// byteOrderMark begins the files that some editors write.
const byteOrderMark = "\ufeff"

// readSecret reads a secret from a file; problem says what is wrong with it.
func readSecret(path string, lines bool) (secret, problem string) {
	b, problem := readBounded(path, maxSecretFile)
	if problem != "" {
		return "", problem
	}
	return secretIn(b, lines)
}

// secretIn returns the secret that a file's content holds.
func secretIn(b []byte, lines bool) (secret, problem string) {
	s := strings.TrimRight(strings.TrimPrefix(string(b), byteOrderMark), "\r\n")
	switch {
	case strings.HasPrefix(s, "\xff\xfe"), strings.HasPrefix(s, "\xfe\xff"):
		return "", "is UTF-16 text; save it as UTF-8, without a byte order mark"
	case s == "":
		return "", "is empty; put the secret into the file"
	case strings.ContainsAny(s, "\n\r\x00") && !lines:
		return "", "holds more than one line; put the secret alone into the file"
	}
	return s, ""
}

// readBounded reads a regular file (or a pipe, as process substitution gives)
// of at most limit bytes.
func readBounded(path string, limit int64) (content []byte, problem string) {
	b, err := readBeyond(path, limit)
	switch {
	case err != nil:
		return nil, "can't be read: " + cause(err)
	case int64(len(b)) > limit:
		return nil, "is larger than " + Size(limit).String() + "; is it the right file?"
	}
	return b, ""
}

// readBeyond reads a file up to one byte more than limit.
func readBeyond(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// cause removes the path, which the message already names.
func cause(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// maxSecretFile bounds the size of a secret's file: a larger one is probably a
// wrong path.
const maxSecretFile = 4096
