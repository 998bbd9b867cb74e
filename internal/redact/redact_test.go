package redact_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"kazoohook/internal/redact"
)

const (
	hook     = "Zk3._~-fQ9x7Lm2Pq8Rt5Vw1"
	password = `pa"ss <&%+=/\é𝄞 word`
)

func inJSON(v any, html bool) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(html)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

// everyByte formats each byte, even those that need no encoding.
func everyByte(s, format string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, format, c)
	}
	return b.String()
}

// ascii escapes all characters beyond ASCII, as some JSON encoders do.
func ascii(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r > 0xffff:
			fmt.Fprintf(&b, `\u%04x\u%04X`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		case r > unicode.MaxASCII:
			fmt.Fprintf(&b, `\u%04x`, r)
		case r == '"' || r == '\\' || r == '/':
			b.WriteString(`\` + string(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// forms lists the encodings in which a secret may appear, each within a text.
func forms(s string) map[string]string {
	uri := &url.URL{Scheme: "https", User: url.UserPassword("webhooks", s), Host: "h", Path: "/kazoo/" + s + "/object"}
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth("webhooks", s)
	out := map[string]string{
		"plain":                   "before " + s + " after",
		"alone":                   s,
		"path":                    url.PathEscape(s),
		"query":                   "a=" + url.QueryEscape(s) + "&b",
		"query within a query":    "u=" + url.QueryEscape("http://h/?x="+url.QueryEscape(s)) + "&b",
		"every byte":              everyByte(s, "%%%02x"),
		"every byte, upper case":  everyByte(s, "%%%02X"),
		"URL":                     uri.String(),
		"JSON":                    inJSON(map[string]string{"a": s}, true),
		"JSON without HTML":       inJSON(map[string]string{"a": s}, false),
		"JSON in ASCII":           `{"a":"` + ascii(s) + `"}`,
		"JSON in JSON":            inJSON(inJSON([]string{s}, true), true),
		"JSON in JSON in JSON":    inJSON(inJSON(inJSON([]string{s}, false), true), false),
		"a query in JSON":         inJSON("a="+url.QueryEscape(s), true),
		"Basic":                   req.Header.Get("Authorization"),
		"two":                     s + s,
		"Go's quotes":             fmt.Sprintf("%+q", s),
		"Go's quotes, not ASCII":  fmt.Sprintf("%q", s),
		"percent-encoded base64":  url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s))),
		"URL-safe base64, padded": base64.URLEncoding.EncodeToString([]byte(s)),
	}
	for before := range 3 {
		for after := range 3 {
			out[fmt.Sprintf("base64 behind %d before %d", before, after)] = base64.StdEncoding.EncodeToString([]byte("xx"[:before] + s + "yy"[:after]))
		}
	}
	return out
}

func TestEveryForm(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{hook, password, "correct horse battery staple", "100%25%", `back\slash\`, "0123456789abcdef0123456789abcdef"} {
		r := redact.New(secret)
		for name, text := range forms(secret) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				got := r.String(text)
				if !strings.Contains(got, redact.Mask) || strings.Contains(got, secret) {
					t.Fatalf("%q became %q", text, got)
				}
				for name, form := range forms(secret) {
					if strings.HasPrefix(name, "base64") || name == "Basic" {
						continue
					}
					if strings.Contains(got, form) {
						t.Errorf("%q became %q, which holds the form %q", text, got, name)
					}
				}
				if json.Valid([]byte(text)) && !json.Valid([]byte(got)) {
					t.Errorf("%q became %q, which is not JSON", text, got)
				}
			})
		}
	}
}

func TestWhatStays(t *testing.T) {
	t.Parallel()
	r := redact.New(hook, password, "abc", "", "1234", "user", "doc_deleted")
	for _, text := range []string{
		"", "nothing of it", "user_auth of a user: object:user:doc_deleted, h:1234", "abc", hook[1:], hook[:len(hook)-1], "100% of it", `\u00`, `\`, "%", "%2", `a\\`, strings.ToUpper(hook),
	} {
		if got := r.String(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	b := []byte("nothing of it")
	if got := r.JSON(b); &got[0] != &b[0] {
		t.Error("a text without a secret was copied")
	}
	if got := (&redact.Redactor{}).String(hook); got != hook {
		t.Errorf("%q", got)
	}
}

// TestLongestFirst: a secret that contains another one is masked completely.
func TestLongestFirst(t *testing.T) {
	t.Parallel()
	r := redact.New("s3cret", "s3cret-and-more-of-it", "the-s3cret")
	if got := r.String("x the-s3cret-and-more-of-it y"); got != "x ***-and-more-of-it y" && got != "x the-*** y" {
		t.Errorf("%q", got)
	}
	if got := r.String("s3cret-and-more-of-it s3cret"); got != "*** ***" {
		t.Errorf("%q", got)
	}
}

// TestEventsKeepTheirWords: a password that is a common word masks nothing in events.
func TestEventsKeepTheirWords(t *testing.T) {
	t.Parallel()
	r := redact.New("admin", hook)
	line := `{"priv_level":"admin","uri":"https://h/kazoo/` + hook + `/object"}`
	if got, want := string(r.Event([]byte(line))), strings.Replace(line, hook, "***", 1); got != want {
		t.Errorf("%s", got)
	}
	if got := string(r.Long([]byte("admin " + hook))); got != "admin ***" {
		t.Errorf("%s", got)
	}
	for _, f := range []func([]byte) []byte{(&redact.Redactor{}).Event, (&redact.Redactor{}).Long, (&redact.Redactor{}).JSON} {
		if got := string(f([]byte(line))); got != line {
			t.Errorf("%s", got)
		}
	}
}

// TestCommonWords: a password that is a word, a number or a few characters is
// masked only where the text names it as a password.
func TestCommonWords(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"admin", "user", "info", "doc_deleted", "hooks", "1234", "2026-11", "v2", "Müller", "error", "level", "x"} {
		t.Run(secret, func(t *testing.T) {
			t.Parallel()
			if !redact.Common(secret) {
				t.Fatal("not common")
			}
			r := redact.New(secret)
			for _, text := range []string{
				secret, "the " + secret + " of it", secret + "_connections", "object:" + secret + ":doc", "type=" + secret + ",action=" + secret,
				`{"` + secret + `":1,"` + secret + `_password":"other","event":"` + secret + `.` + secret + `","is":["` + secret + `"]}`,
				"passes: " + secret + "x", "password=" + secret + "word", "http://" + secret + ":other@h/" + secret, "user_name: " + secret, secret + "@example.com",
			} {
				if got := r.String(text); got != text {
					t.Errorf("%q became %q", text, got)
				}
				if got := string(r.JSON([]byte(text))); got != text {
					t.Errorf("JSON %q became %q", text, got)
				}
			}
			for before, after := range map[string]string{
				`{"password":"`: `"}`, `{"a":"{\"Password\": \"`: `\"}"}`, "KAZOO_PASSWORD=": " b", "kazoo_password: '": "'", "a=1&pwd=": "&b=2",
				"u=http%3A%2F%2Fh%3Fpassword%3D": "%26c", "https://somebody:": "@h/", `X-Auth-Token: `: "\n", "secret = ": "",
			} {
				if got := r.String(before + secret + after); got != before+redact.Mask+after {
					t.Errorf("%q became %q", before+secret+after, got)
				}
			}
		})
	}
	for _, secret := range []string{"", "hunter2", "a1b2c3", "pass:w", "abcdefghijklmnop", "1234567890123456", password, hook} {
		if redact.Common(secret) {
			t.Errorf("%q is common", secret)
		}
	}
}

// TestJSONStaysJSON: only strings are masked, so numbers and punctuation stay.
func TestJSONStaysJSON(t *testing.T) {
	t.Parallel()
	r := redact.New("80:80x", "tru3st", `":"b`, `"is":tru3`, `it ends\`)
	for text, want := range map[string]string{
		`{"port":8080,"is":true,"addr":"h80:80x","a":"b"}`: `{"port":8080,"is":true,"addr":"h***","a":"b"}`,
		`{"a":"x\"tru3st\"","80:80x":"\\"}`:                `{"a":"x\"***\"","***":"\\"}`,
		`["it ends\\",8080]`:                               `["***",8080]`,
	} {
		if got := string(r.JSON([]byte(text))); got != want || !json.Valid([]byte(got)) {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}

// TestLearnedLater adds secrets while texts are being masked.
func TestLearnedLater(t *testing.T) {
	t.Parallel()
	r := redact.New(hook)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 50 {
				token := fmt.Sprintf("token-%d-%d-0123456789", i, n)
				r.AddToken(token)
				if i == 0 && n == 0 {
					r.Add(password)
				}
				if got := r.String("x " + hook); got != "x ***" {
					t.Error(got)
				}
			}
		})
	}
	all.Wait()
	r.AddToken("the-newest-token")
	r.AddToken("the-newest-token")
	if got := r.String("the-newest-token " + password); got != "*** ***" {
		t.Errorf("%q", got)
	}
}

// TestAnySecretAnywhere draws secrets and texts around them.
func TestAnySecretAnywhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringOfN(rapid.RuneFrom([]rune(`ab%25+\/"u0<é `)), 6, 20, -1).Draw(t, "secret")
		around := rapid.StringOfN(rapid.RuneFrom([]rune(`xyz:,`)), 0, 5, -1)
		text := around.Draw(t, "before") + secret + around.Draw(t, "after")
		if redact.Common(secret) {
			t.Skip("masked only where it is named")
		}
		r := redact.New(secret)
		for name, form := range map[string]string{"plain": text, "query": url.QueryEscape(text), "path": url.PathEscape(text), "JSON": inJSON(text, true), "plain JSON": inJSON(text, false)} {
			got := r.String(form)
			if !strings.Contains(got, redact.Mask) {
				t.Fatalf("%s: %q became %q", name, form, got)
			}
			if strings.HasSuffix(name, "JSON") && !json.Valid([]byte(got)) {
				t.Fatalf("%s: %q became %q", name, form, got)
			}
		}
	})
}

func BenchmarkEvent(b *testing.B) {
	r := redact.New(hook, password, "0123456789abcdef0123456789abcdef", strings.Repeat("k", 64), "another-secret-of-24-chars")
	line := []byte(`{"level":"info","time":"2026-01-02T03:04:05.678Z","event":"user.deleted","event_id":"01JGK2X5ZC0000000000000000","seq":1,"source":"webhook","received_at":"2026-01-02T03:04:05.678Z","account_id":"5f1c0de05f1c0de05f1c0de05f1c0de0","hook":"object","object_type":"user","object_id":"5f1c0de05f1c0de05f1c0de05f1c0de0","object_name":"Ann Lee","data":{"type":"user"},"message":"user deleted"}`)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		r.Event(line)
	}
}
