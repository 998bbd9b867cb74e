package crossbar

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const (
	maxWords  = 300      // characters of Kazoo's message that are repeated
	maxDetail = 16 << 10 // bytes of its detail
	maxTokens = 32       // secrets remembered; the oldest tokens are dead
)

var (
	// hookPath is the secret segment of our hook URIs, which Kazoo echoes when
	// it refuses one, plain or escaped.
	hookPath = regexp.MustCompile(`(?i)((?:/|\\/|%2f)kazoo(?:/|\\/|%2f))[A-Za-z0-9._~+=-]+`)
	// userInfo is name and password in a URL.
	userInfo = regexp.MustCompile(`(://)[^/\s@"'<>]+@`)
	// anyToken is a JWT, also one that we never had.
	anyToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`)
	// secretKey is a property whose value is not for people.
	secretKey = regexp.MustCompile(`(?i)(pass|secret|token|credential|api_?key|hmac|auth)`)
)

// secrets knows what must not be printed.
type secrets struct {
	mu     sync.RWMutex
	fixed  []string
	tokens []string
}

func newSecrets(values ...string) *secrets {
	s := &secrets{}
	s.keep(values...)
	return s
}

// keep remembers values for good.
func (s *secrets) keep(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		s.fixed = AppendSecret(s.fixed, v)
	}
	// The longest first: one secret may hold another.
	slices.SortStableFunc(s.fixed, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
}

// add remembers tokens. Of very many the oldest are forgotten.
func (s *secrets) add(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		s.tokens = AppendSecret(s.tokens, v)
	}
	if extra := len(s.tokens) - maxTokens; extra > 0 {
		s.tokens = slices.Delete(s.tokens, 0, extra)
	}
}

// AppendSecret adds a value and its escaped forms to the texts that are to be
// masked. What is shorter than four characters is no secret, and masking it would
// make text unreadable.
func AppendSecret(list []string, v string) []string {
	if len(v) < 4 {
		return list
	}
	for _, form := range []string{v, url.QueryEscape(v), url.PathEscape(v), jsonEscape(v, true), jsonEscape(v, false)} {
		if !slices.Contains(list, form) {
			list = append(list, form)
		}
	}
	return list
}

// jsonEscape gives a text as it stands in JSON, between the quotes.
func jsonEscape(v string, html bool) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(html)
	if enc.Encode(v) != nil {
		return v
	}
	quoted := bytes.TrimSpace(b.Bytes())
	return string(quoted[1 : len(quoted)-1])
}

// clean masks every secret in a text.
func (s *secrets) clean(t string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, list := range [][]string{s.fixed, s.tokens} {
		for _, v := range list {
			t = strings.ReplaceAll(t, v, masked)
		}
	}
	t = hookPath.ReplaceAllString(t, "${1}"+masked)
	t = userInfo.ReplaceAllString(t, "${1}"+masked+"@")
	return anyToken.ReplaceAllString(t, masked)
}

// flat is a text on one line, without what moves a terminal's cursor.
func flat(t string) string {
	t = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError:
			return '?'
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029':
			return ' '
		}
		return r
	}, t)
	return strings.Join(strings.Fields(t), " ")
}

// line gives a text clean, on one line and at most limit bytes long.
func (s *secrets) line(t string, limit int) string {
	t = flat(s.clean(t))
	if len(t) <= limit {
		return t
	}
	for limit > 0 && !utf8.RuneStart(t[limit]) {
		limit--
	}
	return t[:limit] + "..."
}

// detail gives Kazoo's validation detail with its secrets masked, nil if there
// is none or it is beyond measure.
func (s *secrets) detail(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || len(raw) > maxDetail || string(raw) == "null" || string(raw) == "{}" {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return nil
	}
	out, err := json.Marshal(s.mask(v, false))
	if err != nil {
		return nil
	}
	return out
}

// mask cleans all strings of a JSON value. Below a key that says so every string
// is secret, but for the message about it.
func (s *secrets) mask(v any, secret bool) any {
	switch v := v.(type) {
	case string:
		if secret && v != "" {
			return masked
		}
		return s.clean(v)
	case []any:
		for i := range v {
			v[i] = s.mask(v[i], secret)
		}
		return v
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[s.clean(k)] = s.mask(e, k != "message" && (secret || secretKey.MatchString(k)))
		}
		return out
	}
	return v
}
