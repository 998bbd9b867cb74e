package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

// Hash is the digest of a login.
type Hash string

// The digests that Kazoo knows.
const (
	MD5  Hash = "md5"
	SHA1 Hash = "sha1"
)

// UnmarshalText accepts the names of the digests.
func (h *Hash) UnmarshalText(text []byte) error { return setEnum(h, text, MD5, SHA1) }

// HexLen is the length of the digest in hexadecimal digits.
func (h Hash) HexLen() int {
	if h == SHA1 {
		return 40
	}
	return 32
}

// LogLevel is the lowest level that is logged, by zerolog's name.
type LogLevel string

// The levels.
const (
	LogTrace LogLevel = "trace"
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// UnmarshalText accepts the names of the levels.
func (l *LogLevel) UnmarshalText(text []byte) error {
	return setEnum(l, text, LogTrace, LogDebug, LogInfo, LogWarn, LogError)
}

// HookFormat is the format in which Kazoo sends.
type HookFormat string

// The formats.
const (
	FormatAuto HookFormat = "auto"
	FormatForm HookFormat = "form-data"
	FormatJSON HookFormat = "json"
)

// UnmarshalText accepts the names of the formats.
func (f *HookFormat) UnmarshalText(text []byte) error {
	return setEnum(f, text, FormatAuto, FormatForm, FormatJSON)
}

// HMAC switches signed requests.
type HMAC string

// The choices.
const (
	HMACAuto HMAC = "auto"
	HMACOff  HMAC = "off"
)

// UnmarshalText accepts the names of the choices.
func (m *HMAC) UnmarshalText(text []byte) error {
	if isOff(string(text)) {
		*m = HMACOff
		return nil
	}
	return setEnum(m, text, HMACAuto, HMACOff)
}

// LogFormat is the form of the log.
type LogFormat string

// The forms.
const (
	LogJSON    LogFormat = "json"
	LogConsole LogFormat = "console"
)

// UnmarshalText accepts the names of the forms.
func (f *LogFormat) UnmarshalText(text []byte) error { return setEnum(f, text, LogJSON, LogConsole) }

func setEnum[T ~string](target *T, text []byte, accepted ...T) error {
	names := make([]string, len(accepted))
	for i, a := range accepted {
		if strings.EqualFold(string(text), string(a)) {
			*target = a
			return nil
		}
		names[i] = string(a)
	}
	last := len(names) - 1
	return fmt.Errorf("is not known; use %s or %s", strings.Join(names[:last], ", "), names[last])
}

// Switch is a setting that is on or off.
type Switch bool

// UnmarshalText accepts on and off, and what a bool accepts.
func (s *Switch) UnmarshalText(text []byte) error {
	on, err := parseBool(string(text))
	if err != nil {
		return errors.New("is neither on nor off; use on or off")
	}
	*s = Switch(on)
	return nil
}

// String returns "on" or "off".
func (s Switch) String() string {
	if s {
		return "on"
	}
	return off
}

const off = "off"

// isOff also accepts false: that is what Helm, Ansible and others that read YAML 1.1 make
// of off without quotes.
func isOff(text string) bool { return strings.EqualFold(text, off) || strings.EqualFold(text, "false") }

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", off, "0":
		return false, nil
	}
	return false, errors.New("is neither true nor false; use true or false")
}

// Addr is a TCP address to listen on, host:port; empty for off.
type Addr string

// Off reports whether the listener is switched off.
func (a Addr) Off() bool { return a == "" }

// String returns the address, or "off".
func (a Addr) String() string {
	if a.Off() {
		return off
	}
	return string(a)
}

// UnmarshalText accepts host:port, :port and off.
func (a *Addr) UnmarshalText(text []byte) error {
	if isOff(string(text)) {
		*a = ""
		return nil
	}
	bad := errors.New("is not an address to listen on; use host:port or :port, e.g. :8080 or 127.0.0.1:9090")
	host, port, err := net.SplitHostPort(string(text))
	if err != nil || strings.ContainsAny(host, " /@") {
		return bad
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return bad
	}
	*a = Addr(text)
	return nil
}

// Interval is a time between two runs of something; 0 for off.
type Interval time.Duration

// String returns the interval, or "off".
func (i Interval) String() string {
	if i == 0 {
		return off
	}
	return formatDuration(time.Duration(i))
}

// UnmarshalText accepts a duration of a second or more, and off.
func (i *Interval) UnmarshalText(text []byte) error {
	if isOff(string(text)) {
		*i = 0
		return nil
	}
	d, err := time.ParseDuration(string(text))
	switch {
	case err != nil:
		return errors.New("is not a duration; use numbers with units, e.g. 30s, 10m or 6h, or off")
	case d < time.Second:
		return errors.New("is too short; use 1s or more, or off")
	}
	*i = Interval(d)
	return nil
}

// MaxDeletions is the most deletions that a resync reports by itself.
type MaxDeletions int

// AutoDeletions derives the number from the size of the snapshot.
const AutoDeletions MaxDeletions = 0

// For returns the number for a snapshot of that many known objects.
func (m MaxDeletions) For(known int) int {
	if m == AutoDeletions {
		return max(20, known/10)
	}
	return int(m)
}

// String returns the number, or "auto".
func (m MaxDeletions) String() string {
	if m == AutoDeletions {
		return "auto"
	}
	return strconv.Itoa(int(m))
}

// UnmarshalText accepts a number from 1 and auto.
func (m *MaxDeletions) UnmarshalText(text []byte) error {
	if strings.EqualFold(string(text), "auto") {
		*m = AutoDeletions
		return nil
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 {
		return errors.New("is not a number of deletions; use a whole number from 1, or auto for the larger of 20 and 10 %")
	}
	*m = MaxDeletions(n)
	return nil
}

// Size is a number of bytes; 0 for no limit.
type Size int64

// sizeUnits are tried in this order: longer suffixes first.
func sizeUnits() []sizeUnit {
	return []sizeUnit{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
	}
}

type sizeUnit struct {
	suffix string
	bytes  int64
}

// String returns the size in the largest unit that divides it, or "off".
func (s Size) String() string {
	if s == 0 {
		return off
	}
	for _, u := range sizeUnits() {
		if int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// UnmarshalText accepts a number with an optional unit, and off.
func (s *Size) UnmarshalText(text []byte) error {
	t := strings.TrimSpace(string(text))
	if isOff(t) {
		*s = 0
		return nil
	}
	unit := int64(1)
	for _, u := range sizeUnits() {
		if n := len(t) - len(u.suffix); n > 0 && strings.EqualFold(t[n:], u.suffix) {
			t, unit = strings.TrimSpace(t[:n]), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(t, 64)
	if err != nil || !(n > 0) || n*float64(unit) >= math.MaxInt64 || strings.ContainsAny(t, "xXpP_") {
		return errors.New("is not a size; use a number with a unit, e.g. 500MiB or 2GiB, or off")
	}
	*s = Size(n * float64(unit))
	return nil
}
