package redact

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
)

// Mask replaces a secret wherever it would be shown.
const Mask = "***"

const (
	// minLength is the shortest value that is masked everywhere.
	minLength = 6
	// strongLength is the shortest value that can't occur in events by coincidence;
	// a password such as "admin" can.
	strongLength = 16
	// minCore is the shortest piece of base64 that doesn't occur by chance.
	minCore = 8
	// maxTokens bounds the remembered login tokens. Older ones have expired.
	maxTokens = 32
)

// Redactor masks secrets. The zero value knows none and is ready to use. All
// methods are safe for concurrent use.
type Redactor struct {
	mu     sync.Mutex // held to add secrets
	fixed  []string
	tokens []string
	table  atomic.Pointer[table]
}

// table is the immutable state of a Redactor at one time.
type table struct {
	all, strong matcher
}

// New returns a Redactor for the secrets. Empty ones are ignored.
func New(secrets ...string) *Redactor {
	r := &Redactor{}
	r.Add(secrets...)
	return r
}

// Add adds secrets until the process ends.
func (r *Redactor) Add(secrets ...string) { r.add(&r.fixed, 0, secrets) }

// AddToken adds a login token. Beyond maxTokens the oldest is forgotten.
func (r *Redactor) AddToken(token string) { r.add(&r.tokens, maxTokens, []string{token}) }

func (r *Redactor) add(list *[]string, most int, secrets []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := false
	for _, s := range secrets {
		if s != "" && !slices.Contains(*list, s) {
			*list, changed = append(*list, s), true
		}
	}
	if !changed {
		return
	}
	if extra := len(*list) - most; most > 0 && extra > 0 {
		*list = slices.Delete(*list, 0, extra)
	}
	t := &table{}
	for _, s := range append(slices.Clone(r.fixed), r.tokens...) {
		t.all.add(s)
		if len(s) >= strongLength {
			t.strong.add(s)
		}
	}
	t.all.index()
	t.strong.index()
	r.table.Store(t)
}

// String returns s with every secret masked; a common one (see Common) only where
// the text names it as a secret.
func (r *Redactor) String(s string) string {
	if t := r.table.Load(); t != nil {
		return string(t.all.replace([]byte(s), false))
	}
	return s
}

// JSON returns JSON with every secret masked. Only strings and names are changed,
// so the JSON stays valid. It returns b itself if there is nothing to mask.
func (r *Redactor) JSON(b []byte) []byte {
	if t := r.table.Load(); t != nil {
		return t.all.replace(b, true)
	}
	return b
}

// Event is like JSON, but masks long secrets only. A short password is in an
// event only by coincidence, and masking it would destroy data.
func (r *Redactor) Event(b []byte) []byte {
	if t := r.table.Load(); t != nil {
		return t.strong.replace(b, true)
	}
	return b
}

// Long is like String, but masks long secrets only, as Event does.
func (r *Redactor) Long(b []byte) []byte {
	if t := r.table.Load(); t != nil {
		return t.strong.replace(b, false)
	}
	return b
}

// matcher finds secrets in texts.
type matcher struct {
	patterns []pattern
	first    [256][]pattern // by the byte with which a match begins
}

// pattern is a text to look for.
type pattern struct {
	text   string
	base64 bool // part of a base64 text, all of which is masked
	common bool // masked only where the text names it as a secret
}

func (m *matcher) add(secret string) {
	m.patterns = append(m.patterns, pattern{text: secret, common: Common(secret)})
	for _, core := range base64Cores(secret) {
		m.patterns = append(m.patterns, pattern{text: core, base64: true})
	}
}

// Common reports whether a secret is so short, or such an ordinary word or number
// ("user", "1234"), that texts contain it by coincidence. Masking it everywhere
// would destroy those texts and reveal the secret. So it is masked only where the
// text names it as a secret: after "password" and the like, or in a URL's user
// information.
func Common(secret string) bool {
	if secret == "" || len(secret) >= strongLength {
		return false
	}
	letter := func(r rune) bool { return !unicode.IsLetter(r) && !strings.ContainsRune("_-. ", r) }
	digit := func(r rune) bool { return !unicode.IsDigit(r) && !strings.ContainsRune("_-.: ", r) }
	return len(secret) < minLength || !strings.ContainsFunc(secret, letter) || !strings.ContainsFunc(secret, digit)
}

// index prepares matching. Longer patterns go first, because one secret may contain
// another.
func (m *matcher) index() {
	slices.SortStableFunc(m.patterns, func(a, b pattern) int { return cmp.Compare(len(b.text), len(a.text)) })
	for _, p := range m.patterns {
		m.first[p.text[0]] = append(m.first[p.text[0]], p)
	}
	for _, escape := range []byte{'%', '\\', '+'} { // the character may be encoded
		m.first[escape] = m.patterns
	}
}

// base64Cores returns the base64 of a text at each of the three offsets it can have
// within three bytes, without the characters that depend on neighbouring bytes.
func base64Cores(s string) []string {
	var cores []string
	for before := range 3 {
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := enc.EncodeToString(append(make([]byte, before), s...))
			begin := (before*8 + 5) / 6
			end := (before + len(s)) * 8 / 6
			core := text[begin:min(end, len(text))]
			if len(core) >= minCore && !slices.Contains(cores, core) {
				cores = append(cores, core)
			}
		}
	}
	return cores
}
