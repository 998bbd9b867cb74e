package crossbar

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rs/zerolog"
)

// maxTest is more bytes than the answer of any test has.
const maxTest = 64 << 20

func FuzzEnvelope(f *testing.F) {
	for _, s := range []string{
		`{"data":[{"id":"a"},{"id":"b"}],"status":"success","next_start_key":["x",1],"page_size":2,"timestamp":"2020-01-01T00:00:00"}`,
		`{"data":{"uri":{"error":{"message":"invalid client URL","value":"x"}}},"status":"error","error":"400","message":"m","request_id":"r"}`,
		`{"data":"x","status":"error","error":400}`, `{"data":null,"status":null}`, `[]`, ``, `<html>`, `{"status":"success"}{}`,
		`{"status":"success","data":[[[[]]]],"data":{"a":1}}`, "{\"status\":\"\xff\"}", strings.Repeat(" ", 600) + `{"status":"success"}`,
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, list bool) {
		env, err := decodeEnvelope(bytes.NewReader(body), list, maxTest, maxTest)
		if env == nil {
			t.Fatal("no envelope")
		}
		if slow, err2 := decodeEnvelope(iotest.OneByteReader(bytes.NewReader(body)), list, maxTest, maxTest); (err == nil) != (err2 == nil) || slow.Status != env.Status {
			t.Fatalf("depends on how it arrives: %v, %v", err, err2)
		}
		e := &Error{Op: opHooksList, Status: 400}
		(&Client{secrets: newSecrets()}).refused(e, env)
		if s := e.Error(); strings.ContainsAny(s, "\n\r\x1b") || len(s) > 4*maxWords {
			t.Fatalf("text %q", s)
		}
		_ = startKey(env.NextStartKey)
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatalf("not JSON but accepted: %q", body)
		}
		for _, item := range env.Items {
			_, _ = itemID(item)
			_, _ = itemContent(item)
			_, _ = parseObject(item)
			_, _ = parseHook(item)
			_ = modifierValues(item)
			_ = itemName(item)
		}
		_, _ = parseHook(env.Data)
	})
}

func FuzzAttempt(f *testing.F) {
	for _, item := range vectors(f) {
		f.Add([]byte(item))
	}
	f.Add([]byte(`{"retries_left":"retries exceeded","client_error":"econnrefused","timestamp":"63962778721"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := parseAttempt(raw)
		if err != nil {
			return
		}
		if a.RetriesLeft == 0 && !a.Last || a.Status != "" && !a.Last {
			t.Fatalf("%+v", a)
		}
		if !a.Time.IsZero() && (a.Time.Year() < 0 || a.Time.Location() != time.UTC) {
			t.Fatalf("time %s", a.Time)
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add(jwt(`{"exp":1700000100}`))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		if d := tokenLife(token, time.Unix(1_700_000_000, 0)); d <= 0 || d > 24*time.Hour {
			t.Fatalf("life %s", d)
		}
	})
}

func TestEnvelopeBrokenOff(t *testing.T) {
	t.Parallel()
	whole := `{"data":[{"id":"a"},{"id":"b"}],"status":"success","next_start_key":["x",1]}`
	for i := 1; i < len(whole); i++ {
		for _, list := range []bool{true, false} {
			_, err := decodeEnvelope(strings.NewReader(whole[:i]), list, maxTest, maxTest)
			if err == nil || errors.Is(err, errNotJSON) {
				t.Errorf("%q: %v", whole[:i], err)
			}
		}
	}
	if _, err := decodeEnvelope(iotest.ErrReader(errCut), true, maxTest, maxTest); !errors.Is(err, errCut) {
		t.Errorf("error %v", err)
	}
	if _, err := decodeEnvelope(strings.NewReader(`{"data":[`+strings.Repeat(`{"id":"`+strings.Repeat("x", 1000)+`"},`, 1000)), true, 100_000, maxTest); !errors.Is(err, errTooLarge) {
		t.Errorf("error %v", err)
	}
}

func TestEnvelopeTime(t *testing.T) {
	t.Parallel()
	want := time.Unix(1577934245, 0)
	for _, s := range []string{"2020-01-02T03:04:05", "2020-01-02T03:04:05Z", "2020-01-02T04:04:05+01:00", "2020-01-02 03:04:05", "63745153445"} {
		if got, good := envelopeTime(s); !good || !got.Equal(want) {
			t.Errorf("%s: %s, %t", s, got, good)
		}
	}
	for _, s := range []string{"", "now", "5", "2020-01-02", "999999999999999"} {
		if _, good := envelopeTime(s); good {
			t.Errorf("%q accepted", s)
		}
	}
}

// FuzzAnswer: for every answer of Kazoo or of a proxy, the error is one line of
// limited length. It repeats none of our secrets in any encoding. SECRET in the
// input is replaced by a secret.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"data":{"credentials":{"error":{"message":"invalid SECRET","value":"SECRET"}}},"status":"error","error":"400","message":"bad SECRET","request_id":"SECRET"}`,
		`{"data":{"SECRET":"x","nested":[{"password":"SECRET"},"SECRET",["SECRET"]]},"status":"error","error":"SECRET","message":"x"}`,
		`{"data":"SECRET","status":"error","error":401,"message":["SECRET"]}`, `{"data":[{"SECRET":1}],"status":"error"}`,
		`<html><title>SECRET</title><p>SECRET</p></html>`, `SECRET`, `{"status":"success","data":{"auth":"SECRET"}}`, `{"status":"SECRET"}`, ``, `{`,
		`http://user:SECRET@kazoo/v2/x?token=SECRET`, `{"data":{"uri":"http://x/kazoo/SECRET/object"},"status":"error","message":"eyJhbGciOi.eyJleHAi.SECRET"}`,
	} {
		for _, code := range []int{200, 301, 400, 401, 429, 503} {
			f.Add(code, s, "SECRET")
			f.Add(code, s, "3; https://user:SECRET@elsewhere/kazoo/SECRET")
		}
	}
	const secret = "p\"ss/wörd&MARK<%>\\7"
	quoted, err := json.Marshal(secret)
	if err != nil {
		f.Fatal(err)
	}
	plain := strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(string(quoted))
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`), strings.Trim(plain, `"`)}
	c, err := New(Options{BaseURL: "http://kazoo", Auth: Password{User: "admin", Pass: secret}, AccountName: "acme", Log: zerolog.Nop()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, code int, body, header string) {
		if strings.Contains(body, "MARK") || strings.Contains(header, "MARK") || code < 100 || code > 999 {
			return
		}
		for _, form := range forms {
			in, head := strings.ReplaceAll(body, "SECRET", form), strings.ReplaceAll(header, "SECRET", form)
			resp := &http.Response{StatusCode: code, Header: http.Header{
				"Location": {head}, "Retry-After": {head}, "X-Request-Id": {head}, "Content-Type": {head}, "Date": {head},
			}}
			env, err := decodeEnvelope(strings.NewReader(in), false, maxTest, maxTest)
			r := request{op: opLogin, method: http.MethodPut, path: "/user_auth"}
			_, e := c.judge(t.Context(), t.Context(), r, &Error{Op: opLogin, URL: c.shown(r.path)}, resp, env, err)
			if e == nil {
				continue
			}
			if e.RetryAfter < 0 || e.RetryAfter > maxRetryAfter {
				t.Fatalf("Retry-After %q is %v", head, e.RetryAfter)
			}
			said := e.Error() + " " + string(e.Detail) + " " + e.Message + " " + e.Code
			if strings.Contains(said, "MARK") {
				t.Fatalf("%q, %q: a secret is in %q", in, head, said)
			}
			if strings.ContainsAny(e.Error(), "\n\r\x1b") || len(e.Error()) > 8*maxWords {
				t.Fatalf("error %q", e.Error())
			}
		}
	})
}
