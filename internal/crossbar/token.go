package crossbar

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// assumedLife is how long a token is taken to live if it does not say
// (kazoo 4.3 applications/crossbar: token_auth_expiry).
const assumedLife = time.Hour

// tokenLife reads how long a token lives from the payload of the JWT. It is not
// verified: only Kazoo can, and only the renewal depends on it. Where the token
// tells when it was issued, the clocks don't matter; otherwise now must be
// Kazoo's time.
func tokenLife(token string, now time.Time) time.Duration {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return assumedLife
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return assumedLife
	}
	var claims struct{ Exp, Iat json.RawMessage }
	if json.Unmarshal(payload, &claims) != nil {
		return assumedLife
	}
	exp, ok := numericDate(claims.Exp)
	if !ok {
		return assumedLife
	}
	from := now
	if iat, ok := numericDate(claims.Iat); ok {
		from = iat
	}
	life := exp.Sub(from)
	if life <= 0 {
		// A fresh token that has expired: the clocks differ, not the lifetime.
		return assumedLife
	}
	return min(life, 24*time.Hour)
}

// numericDate reads a time in Unix or gregorian seconds, a number or a string.
func numericDate(raw json.RawMessage) (time.Time, bool) {
	f, err := strconv.ParseFloat(string(bytes.Trim(raw, `"`)), 64)
	if err != nil || f <= 0 || f > 1e12 {
		return time.Time{}, false
	}
	// Unix seconds reach the gregorian ones of the year 1970 in the year 3940.
	if f >= GregorianEpoch {
		f -= GregorianEpoch
	}
	return time.Unix(int64(f), 0).UTC(), true
}
