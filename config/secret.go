package config

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// masked stands for a secret wherever it would be shown.
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

// Reveal returns the value itself, for the one place that needs it.
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
