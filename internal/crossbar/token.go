package crossbar

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// assumedLife is the lifetime of a token that doesn't state one (kazoo 4.3
// applications/crossbar: token_auth_expiry).
const assumedLife = time.Hour

// tokenLife reads a token's lifetime from the payload of the JWT. It does not
// verify the JWT: only Kazoo can, and only the renewal depends on it. If the token
// holds its time of issue, the clocks don't matter; otherwise now must be Kazoo's
// time.
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
		// The token was issued just now, so only the clocks can be wrong.
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
	// Unix seconds reach this number in the year 3940.
	if f >= GregorianEpoch {
		f -= GregorianEpoch
	}
	return time.Unix(int64(f), 0).UTC(), true
}
