package event

import "time"

// GregorianEpoch is the Unix epoch in gregorian seconds, which is how Kazoo counts
// time: seconds since the year 0 (OTP calendar:datetime_to_gregorian_seconds/1).
const GregorianEpoch = 62167219200

// Gregorian is a time in gregorian seconds as Kazoo sends it, 0 where absent.
type Gregorian int64

// Time is the time in UTC, the zero time where absent.
func (g Gregorian) Time() time.Time {
	if g == 0 {
		return time.Time{}
	}
	return time.Unix(int64(g)-GregorianEpoch, 0).UTC()
}

// Amount is a decimal number as Kazoo wrote it. It is text, because a form from
// Kazoo 4.3 gives a wrong one (20.5 arrives as 2.05) and looks no different from a
// form that gives the right one; only an amount from JSON is to be trusted
// (kazoo 4.3 core/kazoo_web/src/kz_http_util.erl, encode_kv).
type Amount string

// Secret is a value that Kazoo sends in clear text. It does not print itself: to
// have the value, convert it to string.
type Secret string

// String is Masked, or empty where there is no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Masked
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText is String, for encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
