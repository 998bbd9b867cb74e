package delivery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"
)

// weakKey is the length in bytes that Standard Webhooks recommends as a minimum: a
// shorter key is too easy to guess.
const weakKey = 24

// secret returns the key as it is written in the settings.
func (k Key) secret() string { return "whsec_" + base64.StdEncoding.EncodeToString(k) }

// String masks the key, also if a structure that holds it is printed.
func (k Key) String() string { return "***" }

// GoString masks the key.
func (k Key) GoString() string { return "***" }

// MarshalText masks the key.
func (k Key) MarshalText() ([]byte, error) { return []byte("***"), nil }

// sign returns the value of webhook-signature: one signature for each key, the newest
// first, as in Standard Webhooks.
func sign(keys []Key, id string, at time.Time, body []byte) string {
	head := []byte(id + "." + strconv.FormatInt(at.Unix(), 10) + ".")
	var out []byte
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write(head)
		mac.Write(body)
		if len(out) > 0 {
			out = append(out, ' ')
		}
		out = base64.StdEncoding.AppendEncode(append(out, "v1,"...), mac.Sum(nil))
	}
	return string(out)
}
