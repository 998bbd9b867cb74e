package event

import (
	"bytes"
	"strings"
)

// Masked replaces a secret value.
const Masked = "***"

// isSecret reports whether the value under a key is a secret. Known from Kazoo:
// password, password_reset_link, account_api_key, auth_token, credentials, pin and
// pins, sha256_key; spelling and separators don't matter.
func isSecret(key string) bool {
	var buf [64]byte
	flat := appendFlat(buf[:0], key)
	for i, c := range flat {
		var parts []string
		switch c {
		case 'p':
			parts = secretsP
		case 's':
			parts = secretsS
		case 'a':
			parts = secretsA
		case 'c':
			parts = secretsC
		case 'm':
			parts = secretsM
		default:
			continue
		}
		for _, part := range parts {
			if len(flat)-i >= len(part) && string(flat[i:i+len(part)]) == part {
				return true
			}
		}
	}
	switch string(flat) {
	case "authorization", "proxyauthorization", "cookie", "setcookie", "pwd":
		return true
	}
	return bytes.HasSuffix(flat, []byte("token")) || lastWordIsPin(key)
}

// The parts of keys that mean a secret, by first letter, because isSecret checks
// every key of every event.
var (
	secretsA = []string{"apikey", "authtoken"}
	secretsC = []string{"credential"}
	secretsM = []string{"md5auth"}
	secretsP = []string{"password", "passwd", "passphrase", "passcode", "privatekey"}
	secretsS = []string{"secret", "sha256key", "sha1auth"}
)

// appendFlat appends the letters and digits of a key in lower case.
func appendFlat(dst []byte, key string) []byte {
	for i := 0; i < len(key); i++ {
		switch c := key[i]; {
		case 'A' <= c && c <= 'Z':
			dst = append(dst, c|0x20)
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c >= 0x80:
			dst = append(dst, c)
		}
	}
	return dst
}

// lastWordIsPin finds pin, pins, access_pin and accessPin, but not spin.
func lastWordIsPin(key string) bool {
	key = strings.TrimSuffix(strings.TrimSuffix(key, "s"), "S")
	if len(key) < 3 || !strings.EqualFold(key[len(key)-3:], "pin") {
		return false
	}
	if len(key) == 3 {
		return true
	}
	before, first := key[len(key)-4], key[len(key)-3]
	letter := 'a' <= before|0x20 && before|0x20 <= 'z'
	return !letter || first == 'P' && before >= 'a'
}

// isFlag reports whether a value under a secret's key is only true or false:
// is_password_expired, require_password_update.
func isFlag(key, value string) bool {
	if value != "true" && value != "false" {
		return false
	}
	return strings.HasPrefix(key, "is_") || strings.HasPrefix(key, "has_") || strings.HasPrefix(key, "require")
}

// maskObject replaces the secret values in data, at any depth and inside JSON in
// texts (Kazoo sends arrays of objects in a form that way).
func maskObject(m map[string]any) {
	for key, v := range m {
		if isSecret(key) {
			if text, ok := scalarText(v); !ok || !isFlag(key, text) {
				m[key] = Masked
			}
			continue
		}
		switch v := v.(type) {
		case map[string]any:
			maskObject(v)
		case []any:
			maskList(v)
		case string:
			if masked := maskText(v, 0); masked != v {
				m[key] = masked
			}
		}
	}
}

func maskList(list []any) {
	for i, v := range list {
		switch v := v.(type) {
		case map[string]any:
			maskObject(v)
		case []any:
			maskList(v)
		case string:
			list[i] = maskText(v, 0)
		}
	}
}
