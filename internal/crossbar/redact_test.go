package crossbar

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// TestSecretsNeverShow makes Kazoo repeat every secret in many forms. No error, log
// line or printed login may show one.
func TestSecretsNeverShow(t *testing.T) {
	t.Parallel()
	const hookSecret = "h00kS3cretSegment"
	const option = "an option's secret/&"
	key := strings.Repeat("K", 60) + "+/&="
	for name, auth := range map[string]Auth{
		"password":    Password{User: testUser, Pass: testPass},
		"credentials": Credentials{Hash: testMD5},
		"api key":     APIKey(key),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newAPI()
				token := a.issue()
				own := auth.secrets()
				echo := strings.Join(append(slices.Clone(own), token, jwt(`{"other":1}`), "https://u:urlPassw0rd@h/kazoo/"+hookSecret+"/object",
					"https%3A%2F%2Fh%2Fkazoo%2F"+hookSecret+"%2Fobject", option), " ")
				secrets := append(slices.Clone(own), token, "eyJ", hookSecret, "urlPassw0rd", option, "hunter2")
				shapes := []http.HandlerFunc{
					func(w http.ResponseWriter, _ *http.Request) {
						w.Header().Set("X-Request-Id", token)
						fail(w, 400, echo, map[string]any{
							"uri":      map[string]any{"error": map[string]any{"message": echo, "value": echo, echo: echo}},
							"password": map[string]any{"minLength": map[string]any{"value": "hunter2", "list": []any{"hunter2"}}},
							"api_key":  "hunter2", echo: []any{echo, map[string]any{"auth_token": "hunter2"}},
						})
					},
					func(w http.ResponseWriter, _ *http.Request) { fail(w, 503, echo, echo) },
					func(w http.ResponseWriter, _ *http.Request) { fail(w, 401, echo, []any{echo}) },
					raw(200, echo, "<html><title>"+echo+"</title>"+echo),
					raw(200, "text/plain", echo),
					raw(404, "text/html", strings.Repeat("<b>", 300)+echo),
					raw(404, "text/html", strings.Repeat(" ", 500)+token),
					raw(200, "application/json", `{"status":"error","error":"`+token+`","request_id":"`+token+`","message":"https:\/\/h\/kazoo\/`+hookSecret+`\/object"}`),
					raw(502, "text/html", `https:\/\/h\/kazoo\/`+hookSecret+`\/object`),
					func(w http.ResponseWriter, _ *http.Request) {
						w.Header().Set("Location", "https://u:urlPassw0rd@"+hookSecret+".example.com/kazoo/"+hookSecret)
						w.WriteHeader(302)
					},
					breaking(cut{}), breaking(refuse{}),
				}
				for i, shape := range shapes {
					var out bytes.Buffer
					broken := false
					c, _ := inMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if !broken && r.Method == http.MethodPut && !strings.HasSuffix(r.URL.Path, "webhooks") {
							reply(w, 201, map[string]any{"status": "success", "auth_token": token, "data": map[string]any{"account_id": testAccount}})
							return
						}
						shape(w, r)
					}), func(o *Options) {
						o.Auth, o.Log, o.Timeout = auth, zerolog.New(&out), time.Second
						o.Secrets = []string{option, hookSecret + ".example.com", "x"}
						o.BaseURL = "http://u:urlPassw0rd@kazoo.test"
						if _, isKey := auth.(APIKey); isKey {
							o.AccountName = ""
						}
					})
					ctx, cancel := timeout(t, 3*time.Second)
					_, err1 := c.CreateHook(ctx, testAccount, ourHook())
					_, err2 := c.Hooks(ctx, testAccount)
					broken = true
					c.session.token = ""
					_, err3 := c.Login(ctx)
					cancel()
					for _, err := range []error{err1, err2, err3} {
						if err == nil {
							t.Fatalf("shape %d: no error", i)
						}
						e := asError(t, err)
						marshalled, _ := json.Marshal(e)
						fmt.Fprintf(&out, "%s\n%+v\n%s\n%s\n", err, *e, marshalled, e.Detail)
					}
					fmt.Fprintf(&out, "%v %+v %#v %s\n", auth, auth, auth, auth)
					m, _ := json.Marshal(map[string]any{"auth": auth})
					out.Write(m)
					for _, s := range secrets {
						if strings.Contains(out.String(), s) {
							t.Errorf("shape %d shows %q:\n%.3000s", i, s, out.String())
						}
					}
				}
			})
		})
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	s := newSecrets("öld s3cret")
	for in, want := range map[string]string{
		"plain text":                         "plain text",
		"a öld s3cret b":                     "a *** b",
		"a " + "%C3%B6ld+s3cret b":           "a *** b",
		"/kazoo/abc-DEF_1.2~3/object":        "/kazoo/***/object",
		"/kazoo/":                            "/kazoo/",
		"line\nbreak\x1b[31m\u202e\u2028end": "line break [31m end",
		"bad \xff bytes":                     "bad ? bytes",
	} {
		if got := s.line(in, 100); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := s.line(strings.Repeat("ü", 100), 11); got != "üüüüü..." {
		t.Errorf("%q", got)
	}
	for i := range 100 {
		s.add(fmt.Sprintf("token-%03d", i))
	}
	if len(s.tokens) > maxTokens || s.clean("token-099 token-000 öld s3cret") != "*** token-000 ***" {
		t.Errorf("%d tokens", len(s.tokens))
	}
	for _, in := range []string{"", "null", "{}", "{", `"` + strings.Repeat("x", maxDetail) + `"`} {
		if s.detail(json.RawMessage(in)) != nil {
			t.Errorf("detail of %.20q", in)
		}
	}
}

// TestCommonPasswords: a password that is a common word is masked only as a whole
// word: other words of Kazoo decide what an error means.
func TestCommonPasswords(t *testing.T) {
	t.Parallel()
	s := newSecrets("data", "user", "Müller", "pa55", "the_error")
	for text, want := range map[string]string{
		"datastore_fault of user_auth, metadata, users": "datastore_fault of user_auth, metadata, users",
		"no such data: data":                            "no such ***: ***",
		`{"a":"\ndata","b":"\u0020user","c":"user"}`:    `{"a":"\n***","b":"\u0020***","c":"***"}`,
		"?a=%20user&b=user%20":                          "?a=%20***&b=***%20",
		"Müllerin und Müller":                           "Müllerin und ***",
		"xpa55x":                                        "x***x",
		"the_error, the_errors, not_the_error":          "***, the_errors, not_the_error",
		"user":                                          "***",
		"datadata data":                                 "datadata ***",
	} {
		if got := s.clean(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
