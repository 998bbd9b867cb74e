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
	maxWords  = 300      // characters of Kazoo's message that errors repeat
	maxDetail = 16 << 10 // bytes of its detail
	maxTokens = 32       // remembered tokens; older ones have expired
)

var (
	// hookPath matches the secret segment of hook URIs, which Kazoo echoes when it
	// refuses one, plain or escaped. It masks secrets of other services; ours are
	// masked by value. PUBLIC_URL may end in /kazoo.
	hookPath = regexp.MustCompile(`(?i)((?:/|\\/|%2f)kazoo(?:/|\\/|%2f)(?:kazoo(?:/|\\/|%2f))*)[A-Za-z0-9._~+=-]+`)
	// userInfo matches name and password in a URL.
	userInfo = regexp.MustCompile(`(://)[^/\s@"'<>]+@`)
	// anyToken matches any JWT, also one that isn't ours.
	anyToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`)
	// secretKey matches properties whose values are secret.
	secretKey = regexp.MustCompile(`(?i)(pass|secret|token|credential|api_?key|hmac|auth)`)
)

// secrets holds the values that must not be printed.
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

// keep remembers values until the process ends.
func (s *secrets) keep(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		s.fixed = AppendSecret(s.fixed, v)
	}
	// The longest first: one secret may hold another.
	slices.SortStableFunc(s.fixed, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
}

// add remembers tokens. Beyond maxTokens the oldest are forgotten.
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

// AppendSecret adds a value and its escaped forms to the texts to mask. Values
// shorter than four characters are not secrets, and masking them would make text
// unreadable.
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

// jsonEscape returns a text as JSON writes it between the quotes.
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
			t = mask(t, v)
		}
	}
	t = hookPath.ReplaceAllString(t, "${1}"+masked)
	t = userInfo.ReplaceAllString(t, "${1}"+masked+"@")
	return anyToken.ReplaceAllString(t, masked)
}

// shortSecret is the length below which a secret of letters may be part of an
// ordinary word: with a password "data", "datastore_fault" must not become
// "***store_fault".
const shortSecret = 16

// mask masks a secret in a text. It masks a short secret of letters only as a whole
// word.
func mask(t, secret string) string {
	if len(secret) >= shortSecret || strings.ContainsFunc(secret, func(r rune) bool { return !inWord(r) || unicode.IsDigit(r) }) {
		return strings.ReplaceAll(t, secret, masked)
	}
	var b strings.Builder
	for begin := 0; ; {
		n := strings.Index(t[begin:], secret)
		if n < 0 {
			return b.String() + t[begin:]
		}
		at, end := begin+n, begin+n+len(secret)
		after, _ := utf8.DecodeRuneInString(t[end:])
		b.WriteString(t[begin:at])
		if endsInWord(t[:at]) || inWord(after) {
			b.WriteString(secret)
		} else {
			b.WriteString(masked)
		}
		begin = end
	}
}

// escape matches a JSON escape or a percent escape at the end of a text. Its last
// letter or digit is not part of a word.
var escape = regexp.MustCompile(`(?:\\[nrtbf]|\\u[0-9a-fA-F]{4}|%[0-9a-fA-F]{2})$`)

func endsInWord(t string) bool {
	before, _ := utf8.DecodeLastRuneInString(t)
	return inWord(before) && !escape.MatchString(t[max(0, len(t)-len(`\u0000`)):])
}

func inWord(r rune) bool {
	return r == '_' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// flat puts a text on one line, without characters that move a terminal's cursor.
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

// line returns a text masked, on one line and at most limit bytes long.
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

// detail returns Kazoo's validation detail with secrets masked, nil if there is
// none or it is too large.
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

// mask masks secrets in all strings of a JSON value. Below a key that matches
// secretKey every string is masked, except the message.
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
