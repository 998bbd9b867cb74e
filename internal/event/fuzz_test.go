package event

import (
	"bytes"
	"encoding/json"
	"net/url"
	"testing"
	"time"
	"unicode/utf8"

	"kazoohook/internal/event/eventtest"
)

// addVectors seeds a fuzz target with everything that Kazoo sends.
func addVectors(f *testing.F) {
	f.Helper()
	for _, v := range loadVectors(f) {
		d := v.delivery(f)
		f.Add(d.Hook, d.ContentType, d.Body)
	}
	for _, d := range secretBodies() {
		if len(d.Body) < 1<<12 {
			f.Add(d.Hook, d.ContentType, d.Body)
		}
	}
}

func FuzzSplitForm(f *testing.F) {
	for _, v := range loadVectors(f) {
		f.Add(v.body(f))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		pairs, beyond := splitForm(raw)
		if len(beyond) > 0 {
			return
		}
		// The pairs, encoded again, are split into the same pairs.
		var again []byte
		for _, p := range pairs {
			again = append(appendEscaped(append(again, '&'), p.Key), '=')
			again = appendEscaped(again, p.Value)
		}
		second, beyond := splitForm(again)
		if len(beyond) > 0 || len(second) != len(pairs) {
			t.Fatalf("%q became %q", raw, again)
		}
		for i := range pairs {
			if pairs[i] != second[i] {
				t.Fatalf("pair %d: %q became %q", i, pairs[i], second[i])
			}
		}
		// If the standard library accepts the body, its result is the same.
		values, err := url.ParseQuery(string(raw))
		if err != nil {
			return
		}
		for _, p := range pairs {
			got := values[p.Key]
			if len(got) == 0 || got[0] != p.Value {
				t.Fatalf("%q: key %q has %q, url.ParseQuery says %q", raw, p.Key, p.Value, got)
			}
			values[p.Key] = got[1:]
		}
	})
}

func FuzzRoute(f *testing.F) {
	addVectors(f)
	f.Fuzz(func(t *testing.T, hook, contentType string, body []byte) {
		before := bytes.Clone(body)
		r := Route(Request{Hook: hook, HookAccountID: "acc", ContentType: contentType, Body: body})
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		if !isName(r.Event) {
			t.Fatalf("event %q", r.Event)
		}
		if (r.Event == Unknown) != (r.Problem != "") {
			t.Fatalf("event %q with problem %q", r.Event, r.Problem)
		}
		if (r.Action != "") != (r.ObjectType != "") || r.Action != "" && (r.ObjectID == "" || r.Event != r.ObjectType+"."+r.Action.verb()) {
			t.Fatalf("object event %+v", r)
		}
		for _, s := range []string{r.AccountID, r.ObjectID, r.ObjectType} {
			if !utf8.ValidString(s) || len(s) > 4*maxFact {
				t.Fatalf("field %q", s)
			}
		}
		if r.AccountID == "" || r.Dedupe.Key == (Key{}) {
			t.Fatalf("no account or key: %+v", r)
		}
		if again := Route(r.Request); again.Dedupe != r.Dedupe || again.Event != r.Event {
			t.Fatal("not deterministic")
		}
	})
}

func FuzzDecodeForm(f *testing.F) {
	for _, v := range loadVectors(f) {
		f.Add(v.delivery(f).Hook, v.body(f))
	}
	f.Fuzz(func(t *testing.T, hook string, body []byte) {
		checkDecode(t, Route(Request{Source: SourceWebhook, Hook: hook, HookID: "h1", ContentType: "application/x-www-form-urlencoded", Body: body}))
	})
}

func FuzzDecodeJSON(f *testing.F) {
	for _, v := range loadVectors(f) {
		if v.Format == "json" {
			f.Add(v.delivery(f).Hook, v.body(f))
		}
	}
	f.Fuzz(func(t *testing.T, hook string, body []byte) {
		checkDecode(t, Route(Request{Source: SourceWebhook, Hook: hook, HookID: "h1", ContentType: "application/json", Body: body}))
		if err := VerifyHMAC(body, "key"); err == nil {
			t.Log("verified") // only with a key that is known
		}
	})
}

// checkDecode checks what holds for every record.
func checkDecode(t *testing.T, r Record) {
	t.Helper()
	start := time.Now()
	e := Decode(r)
	line := e.AppendJSON(nil)
	if took := time.Since(start); took > time.Minute { // long enough for a busy machine
		t.Fatalf("%d bytes took %v", len(r.Body), took)
	}
	if !json.Valid(line) || !utf8.Valid(line) || bytes.IndexByte(line, '\n') >= 0 {
		t.Fatalf("line %q", line)
	}
	if e.Payload != nil && e.Event == Unknown {
		t.Fatalf("payload %T of %s", e.Payload, e.Event)
	}
	if err := eventtest.Check(line); err != nil {
		t.Fatalf("%v\n%s", err, line)
	}
	if e.Shorten(MinSize); len(e.AppendJSON(nil)) > MinSize {
		t.Fatalf("%d bytes: %s", len(e.AppendJSON(nil)), e.AppendJSON(nil))
	}
	if len(e.Problems) > maxProblems+1 {
		t.Fatalf("%d problems", len(e.Problems))
	}
	if e.Message() == "" {
		t.Fatal("no message")
	}
	if again := Decode(r).AppendJSON(nil); !bytes.Equal(line, again) {
		t.Fatalf("first %s\nthen  %s", line, again)
	}
}

func FuzzFlattenIOList(f *testing.F) {
	eachLine(f, "testdata/attempts.jsonl", func(line []byte) {
		var a struct {
			APIItem struct {
				ReqBody json.RawMessage `json:"req_body"`
			} `json:"api_item"`
		}
		if err := json.Unmarshal(line, &a); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(a.APIItem.ReqBody))
	})
	f.Add([]byte(`["a",[61,["\ud83d\ude00"]]]`))
	f.Fuzz(func(t *testing.T, stored []byte) {
		body, err := FlattenIOList(stored)
		if err != nil {
			return
		}
		if len(body) > len(stored) {
			t.Fatalf("%d bytes became %d", len(stored), len(body))
		}
		var v any
		if err := json.Unmarshal(stored, &v); err != nil {
			t.Fatalf("accepted text that is not JSON: %q", stored)
		}
		if utf8.Valid(stored) {
			if want := flattenSlowly(v); want != string(body) {
				t.Fatalf("%q: got %q, want %q", stored, body, want)
			}
		}
	})
}

func flattenSlowly(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return string([]byte{byte(v)})
	case []any:
		s := ""
		for _, item := range v {
			s += flattenSlowly(item)
		}
		return s
	}
	return ""
}

func FuzzMaskBody(f *testing.F) {
	addVectors(f)
	f.Fuzz(func(t *testing.T, _, contentType string, body []byte) {
		masked := MaskBody(contentType, body)
		if again := MaskBody(contentType, masked); !bytes.Equal(masked, again) {
			t.Fatalf("masking twice: %q, then %q", masked, again)
		}
		if isJSON(contentType, body) {
			if json.Valid(body) && !json.Valid(masked) {
				t.Fatalf("%q became %q", body, masked)
			}
			return
		}
		pairs, rest := splitForm(masked)
		if len(rest) > 0 {
			return
		}
		for _, p := range pairs {
			if isSecretPath(p.Key) && p.Value != Masked && p.Value != "" && !isFlag(lastPart(p.Key), p.Value) {
				t.Fatalf("%q shows %q", p.Key, p.Value)
			}
		}
	})
}
