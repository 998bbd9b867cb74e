package event

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"
)

// The fields of payloads are pointers, nil if Kazoo sent nothing, or lists. Their
// types read both formats: UnmarshalText is for forms (gorilla/schema),
// UnmarshalJSON for JSON, in which Kazoo writes some numbers as text.

// GregorianEpoch is the Unix epoch in gregorian seconds, which is how Kazoo counts
// time: seconds since the year 0 (OTP calendar:datetime_to_gregorian_seconds/1).
const GregorianEpoch = 62167219200

var (
	errNotInteger = errors.New("not a whole number")
	errNotBoolean = errors.New("not true or false")
	errNotAmount  = errors.New("not a number")
)

// Integer is a whole number of 64 bits.
type Integer int64

// UnmarshalText accepts digits as JSON writes them: "007" or "+1" would not give
// the same text again.
func (n *Integer) UnmarshalText(text []byte) error {
	v, ok := integer(string(text))
	if !ok {
		return errNotInteger
	}
	*n = Integer(v)
	return nil
}

// UnmarshalJSON is UnmarshalText for a number or a text.
func (n *Integer) UnmarshalJSON(text []byte) error { return n.UnmarshalText(bare(text)) }

// Boolean is true or false.
type Boolean bool

// UnmarshalText accepts only what Kazoo's encoder writes.
func (b *Boolean) UnmarshalText(text []byte) error {
	switch string(text) {
	case "true":
		*b = true
	case "false":
		*b = false
	default:
		return errNotBoolean
	}
	return nil
}

// UnmarshalJSON is UnmarshalText for a truth value or a text.
func (b *Boolean) UnmarshalJSON(text []byte) error { return b.UnmarshalText(bare(text)) }

// Gregorian is a time in gregorian seconds as Kazoo sends it.
type Gregorian int64

// Time returns the time in UTC.
func (g Gregorian) Time() time.Time { return time.Unix(int64(g)-GregorianEpoch, 0).UTC() }

// UnmarshalText accepts what Integer accepts.
func (g *Gregorian) UnmarshalText(text []byte) error { return (*Integer)(g).UnmarshalText(text) }

// UnmarshalJSON accepts what Integer accepts.
func (g *Gregorian) UnmarshalJSON(text []byte) error { return (*Integer)(g).UnmarshalJSON(text) }

// readable returns the time as RFC 3339; false for times before 1970 or after the
// year 9999.
func (g Gregorian) readable() (string, bool) {
	const year10000 = 253402300800
	if g < GregorianEpoch || g >= GregorianEpoch+year10000 {
		return "", false
	}
	return g.Time().Format(time.RFC3339), true
}

// Amount is a decimal number with Kazoo's digits. In forms from Kazoo 4.3 it is
// wrong (20.5 arrives as 2.05), and nothing shows that: only a Number is reliable
// (kazoo 4.3 core/kazoo_web/src/kz_http_util.erl, encode_kv).
type Amount struct {
	Digits string
	Number bool // it came as a number in JSON
}

// UnmarshalText keeps the text.
func (a *Amount) UnmarshalText(text []byte) error {
	*a = Amount{Digits: string(text)}
	return nil
}

// UnmarshalJSON takes a number or a text.
func (a *Amount) UnmarshalJSON(text []byte) error {
	switch c := text[0]; {
	case c == '"':
		a.Digits, _ = unquote(text[1 : len(text)-1])
	case c == '-' || '0' <= c && c <= '9':
		*a = Amount{Digits: string(text), Number: true}
	default:
		return errNotAmount
	}
	return nil
}

// Secret is a value that Kazoo sends in clear text. It masks itself when printed;
// convert it to string for the value.
type Secret string

// String returns Masked, or "" if there is no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Masked
}

// GoString is String for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText is String for encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// bare returns the contents of a JSON string, and any other JSON value unchanged.
func bare(text []byte) []byte {
	if len(text) > 1 && text[0] == '"' {
		return text[1 : len(text)-1]
	}
	return bytes.TrimSpace(text)
}

// integer reads a whole number that fits 64 bits, as JSON writes it.
func integer(s string) (int64, bool) {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || digits[0] == '0' && len(s) > 1 || digits[0] < '0' || digits[0] > '9' {
		return 0, false
	}
	v, err := strconv.ParseInt(s, 10, 64)
	return v, err == nil
}
