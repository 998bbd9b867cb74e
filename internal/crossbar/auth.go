package crossbar

import (
	"crypto/md5"  //nolint:gosec // Kazoo's protocol
	"crypto/sha1" //nolint:gosec // Kazoo's protocol
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Auth is a way to log in: Password, Credentials or APIKey. Each masks itself
// when it is printed or marshalled.
type Auth interface {
	// check reports what is missing or malformed.
	check(accountName, accountRealm string) error
	// request returns the resource and the data of the login.
	request(accountName, accountRealm string) (path string, data any)
	// secrets lists the values that must never be printed.
	secrets() []string
}

// masked is printed in place of a secret.
const masked = "***"

// Password logs in by name and password, which are hashed here: Kazoo never
// gets the password itself
// (kazoo 4.3 applications/crossbar/src/modules/cb_user_auth.erl). The user's name
// may be written in any case: Kazoo lower-cases it before it hashes
// (kzd_users.erl). The account's name is sent as it is: Kazoo compares only its
// letters and digits, in lower case (normalize_name).
type Password struct {
	User, Pass string
	Hash       string // "md5" (default) or "sha1"
}

// Credentials logs in by the hash itself, the lower-case hex MD5 or SHA-1 of
// "username:password".
type Credentials struct {
	Hash   string
	Method string // "md5", "sha1" or empty: by the hash's length
}

// APIKey logs in by an account's API key of 64 characters
// (kazoo 4.3 applications/crossbar/src/modules/cb_api_auth.erl).
type APIKey string

var hexHash = regexp.MustCompile(`^([0-9a-fA-F]{32}|[0-9a-fA-F]{40})$`)

func (p Password) check(name, realm string) error {
	if p.User == "" || p.Pass == "" {
		return errors.New("crossbar: a login by password needs both the user name and the password")
	}
	if _, err := kazooMethod(p.Hash); err != nil {
		return err
	}
	return checkAccount(name, realm)
}

func (p Password) hash() string {
	plain := []byte(strings.ToLower(p.User) + ":" + p.Pass)
	if m, _ := kazooMethod(p.Hash); m == "sha" {
		sum := sha1.Sum(plain) //nolint:gosec // Kazoo's protocol
		return hex.EncodeToString(sum[:])
	}
	sum := md5.Sum(plain) //nolint:gosec // Kazoo's protocol
	return hex.EncodeToString(sum[:])
}

func (p Password) request(name, realm string) (string, any) {
	method, _ := kazooMethod(p.Hash)
	return userAuth(p.hash(), method, name, realm)
}

func (p Password) secrets() []string { return []string{p.Pass, p.hash()} }

func (c Credentials) check(name, realm string) error {
	if !hexHash.MatchString(c.Hash) {
		return errors.New("crossbar: credentials are the hex MD5 (32 digits) or SHA-1 (40 digits) of username:password")
	}
	method, err := c.method()
	if err != nil {
		return err
	}
	if (method == "sha") != (len(c.Hash) == 2*sha1.Size) {
		return fmt.Errorf("crossbar: credentials of %d digits do not fit the hash %q", len(c.Hash), c.Method)
	}
	return checkAccount(name, realm)
}

func (c Credentials) method() (string, error) {
	if c.Method == "" && len(c.Hash) == 2*sha1.Size {
		return "sha", nil
	}
	return kazooMethod(c.Method)
}

func (c Credentials) request(name, realm string) (string, any) {
	method, _ := c.method()
	return userAuth(c.Hash, method, name, realm)
}

func (c Credentials) secrets() []string { return []string{c.Hash} }

func (k APIKey) check(string, string) error {
	if len(k) != 64 {
		return fmt.Errorf("crossbar: an API key has 64 characters, this one has %d", len(k))
	}
	return nil
}

func (k APIKey) request(string, string) (string, any) {
	// Kazoo refuses any other property.
	return "/api_auth", map[string]string{"api_key": string(k)}
}

func (k APIKey) secrets() []string { return []string{string(k)} }

func checkAccount(name, realm string) error {
	if (name == "") == (realm == "") {
		return errors.New("crossbar: a login with credentials needs the account's name or its realm, one of them")
	}
	return nil
}

// kazooMethod returns Kazoo's name of a hash: "md5" or "sha".
func kazooMethod(hash string) (string, error) {
	switch hash {
	case "", "md5":
		return "md5", nil
	case "sha", "sha1":
		return "sha", nil
	}
	return "", fmt.Errorf("crossbar: %q is not a hash that Kazoo knows: md5 or sha1", hash)
}

func userAuth(hash, method, name, realm string) (string, any) {
	data := map[string]string{"credentials": lowerHex(hash), "method": method}
	if name != "" {
		data["account_name"] = name
	} else {
		data["account_realm"] = realm
	}
	return "/user_auth", data
}

// lowerHex converts the hex digits of a hash to lower case, because Kazoo compares
// text.
func lowerHex(s string) string {
	raw, err := hex.DecodeString(s)
	if err != nil {
		return s
	}
	return hex.EncodeToString(raw)
}

// String masks the secret part.
func (p Password) String() string { return fmt.Sprintf("password of %q", p.User) }

// GoString masks the secret part.
func (p Password) GoString() string { return p.String() }

// MarshalJSON masks the secret part.
func (p Password) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// String masks the hash.
func (c Credentials) String() string { return "credentials " + masked }

// GoString masks the hash.
func (c Credentials) GoString() string { return c.String() }

// MarshalJSON masks the hash.
func (c Credentials) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// String masks the key.
func (k APIKey) String() string { return "API key " + masked }

// GoString masks the key.
func (k APIKey) GoString() string { return k.String() }

// MarshalJSON masks the key.
func (k APIKey) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }
