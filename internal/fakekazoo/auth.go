package fakekazoo

import (
	"crypto/md5"  //nolint:gosec // Kazoo's credentials
	"crypto/sha1" //nolint:gosec // Kazoo's credentials
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// login is a user who can log in.
type login struct {
	account            *account
	username, password string
}

// session is a token that was given out.
type session struct {
	token    string
	account  *account
	username string // empty after a login by API key
	expires  time.Time
}

// sessionOf returns the session of a request's token, nil if there is none or it
// has expired.
func (k *Kazoo) sessionOf(r *http.Request) *session {
	token := r.Header.Get("X-Auth-Token")
	if token == "" {
		token, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	s := k.sessions[token]
	if s == nil {
		return nil
	}
	if !k.clock.now().Before(s.expires) || k.accounts[s.account.ID] == nil {
		delete(k.sessions, token)
		return nil
	}
	return s
}

// userAuth is PUT /user_auth (kazoo applications/crossbar/src/modules/cb_user_auth.erl).
func (c *call) userAuth() reply {
	want, method := c.data.str("credentials"), c.data.str("method")
	errs := &jobj{}
	if want == "" {
		required(errs, "credentials")
	}
	if method != "" && method != "md5" && method != "sha" {
		notOneOf(errs, "method", method, []any{"md5", "sha"})
	}
	if errs.len() > 0 {
		return invalid(errs)
	}
	acc := c.loginAccount()
	for _, l := range c.k.logins {
		// kzd_users.erl lower-cases the document's user name, so the hash must be
		// of the lower-case name.
		if l.account == acc && credentials(method, strings.ToLower(l.username), l.password) == want {
			return c.logIn(acc, l.username, "cb_user_auth")
		}
	}
	return unauthorized()
}

func (c *call) loginAccount() *account {
	name, realm := c.data.str("account_name"), c.data.str("account_realm")
	for _, a := range c.k.order {
		if (name != "" && normalizeName(a.Name) == normalizeName(name)) || (realm != "" && strings.EqualFold(a.Realm, realm)) {
			return a
		}
	}
	return nil
}

// normalizeName returns the form in which Kazoo compares account names: lower case,
// letters and digits only (kazoo core/kazoo_apps/src/kzd_accounts.erl
// normalize_name).
func normalizeName(name string) string {
	return strings.Map(func(r rune) rune {
		if (r >= 'a' && r <= 'z') || (r >= '0' && r <= '9') {
			return r
		}
		return -1
	}, strings.ToLower(name))
}

// credentials returns the lower-case hexadecimal hash of username:password.
func credentials(method, username, password string) string {
	text := []byte(username + ":" + password)
	if method == "sha" {
		sum := sha1.Sum(text) //nolint:gosec // Kazoo's credentials
		return hex.EncodeToString(sum[:])
	}
	sum := md5.Sum(text) //nolint:gosec // Kazoo's credentials
	return hex.EncodeToString(sum[:])
}

// apiAuth is PUT /api_auth (kazoo applications/crossbar/src/modules/cb_api_auth.erl).
func (c *call) apiAuth() reply {
	errs := &jobj{}
	for _, f := range c.data.fields {
		if f.key != "api_key" {
			errs.set(f.key, obj("additionalProperties", obj("message", "Strict checking of this property is enabled and it is not allowed")))
		}
	}
	key := c.data.str("api_key")
	switch {
	case key == "":
		required(errs, "api_key")
	case len(key) < 64:
		errs.set("api_key", obj("minLength", obj("message", "Value must be at least 64 characters", "target", 64)))
	case len(key) > 64:
		errs.set("api_key", obj("maxLength", obj("message", "Value must be at most 64 characters", "target", 64)))
	}
	if errs.len() > 0 {
		return invalid(errs)
	}
	for _, a := range c.k.order {
		if a.apiKey == key {
			return c.logIn(a, "", "cb_api_auth")
		}
	}
	return systemError(http.StatusNotFound, "not_found", "not found")
}

func (c *call) logIn(acc *account, username, method string) reply {
	expires := c.k.clock.now().Add(c.k.opt.TokenTTL)
	s := &session{account: acc, username: username, expires: expires, token: c.k.jwt(acc, method, expires)}
	c.k.sessions[s.token] = s
	data := obj("account_id", acc.ID, "account_name", acc.Name, "apps", []any{}, "language", "en-us",
		"is_reseller", acc.Reseller, "reseller_id", acc.reseller().ID)
	if username != "" {
		data.set("owner_id", loginUserID)
	}
	r := created(data)
	r.token = s.token
	return r
}

// jwt returns a token in Kazoo's form. exp is in Unix seconds, and the signature is
// random (kazoo core/kazoo_auth/src/kz_auth_jwt.erl).
func (k *Kazoo) jwt(acc *account, method string, expires time.Time) string {
	part := func(o *jobj) string {
		return base64.RawURLEncoding.EncodeToString(appendJSON(nil, o, jsonCompact))
	}
	return part(obj("alg", "RS256", "typ", "JWT", "kid", k.opt.ClusterID)) + "." +
		part(obj("iss", "kazoo", "identity_sig", k.rand.hex(16), "account_id", acc.ID, "method", method,
			"exp", expires.Unix())) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(k.rand.hex(64)))
}

// AddLogin lets another user log in to an account.
func (k *Kazoo) AddLogin(account, username, password string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	acc, err := k.accountOr(account)
	if err != nil {
		return err
	}
	k.logins = append(k.logins, login{account: acc, username: username, password: password})
	return nil
}

// SetPassword changes a user's password, which ends all of the user's sessions.
func (k *Kazoo) SetPassword(username, password string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.logins {
		if k.logins[i].username != username {
			continue
		}
		k.logins[i].password = password
		for token, s := range k.sessions {
			if s.username == username && s.account == k.logins[i].account {
				delete(k.sessions, token)
			}
		}
		return nil
	}
	return fmt.Errorf("user %q: %w", username, ErrNotFound)
}

// RevokeTokens ends all sessions.
func (k *Kazoo) RevokeTokens() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.sessions)
}

// Sessions returns the number of tokens that were given out and neither revoked nor
// found expired.
func (k *Kazoo) Sessions() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.sessions)
}
