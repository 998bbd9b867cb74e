package fakekazoo

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// vector is one delivery recorded from Kazoo's own code.
type vector struct {
	Name    string            `json:"name"`
	Kazoo   string            `json:"kazoo"`
	Verb    string            `json:"verb"`
	Format  string            `json:"format"`
	Version string            `json:"version"`
	Hook    *jobj             `json:"hook"`
	Headers map[string]string `json:"headers"`
	Target  string            `json:"request_target"`
	BodyB64 string            `json:"body_b64"`
	Query   string            `json:"query"`
	Expect  *jobj             `json:"expect"`
	HMACKey string            `json:"hmac_key"`
	HMAC    string            `json:"hmac"`
	Sent    bool              `json:"sent"`
	Note    string            `json:"note"`
}

func (v vector) body(t *testing.T) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(v.BodyB64)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// encoder is the encoder of the vector's version: k43 is 4.3; k4m (Kazoo's master)
// and k5 are HEAD.
func (v vector) encoder() formEncoder {
	if strings.HasPrefix(v.Name, "k43_") {
		return encoderFor(version43)
	}
	return encoderFor(version5)
}

func vectors(t *testing.T) []vector {
	t.Helper()
	return readLines[vector](t, "testdata/deliveries.jsonl")
}

func readLines[T any](t *testing.T, file string) []T {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []T
	sc := bufio.NewScanner(bytes.NewReader(raw))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var v T
		if err := json.Unmarshal(sc.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	if len(out) == 0 || sc.Err() != nil {
		t.Fatalf("no vectors in %s: %v", file, sc.Err())
	}
	return out
}

// rawKeys decodes the vectors' keys that are not UTF-8.
func rawKeys(t *testing.T, o *jobj) *jobj {
	t.Helper()
	for i, f := range o.fields {
		if b64, ok := strings.CutPrefix(f.key, "$b64:"); ok {
			raw, err := base64.StdEncoding.DecodeString(b64)
			if err != nil {
				t.Fatal(err)
			}
			o.fields[i].key = string(raw)
		}
		if below, ok := f.val.(*jobj); ok {
			rawKeys(t, below)
		}
	}
	return o
}

// The encoders make every recorded body, byte for byte.
func TestEncodersReproduceEveryVector(t *testing.T) {
	t.Parallel()
	counts := map[string]int{}
	for _, v := range vectors(t) {
		event := rawKeys(t, v.Expect)
		var got, want string
		switch {
		case v.Verb == "get" && strings.HasPrefix(v.Name, "k4") && strings.Contains(v.Name, "fragment"):
			continue // the fragment swallowed the query
		case v.Verb == "get" || v.Format == "form-data":
			io, err := v.encoder().encode(event)
			if err != nil {
				t.Errorf("%s: %v", v.Name, err)
				continue
			}
			got, want = string(flatten(nil, io)), v.body(t)
			if v.Verb == "get" {
				want = v.Query
				if i := strings.LastIndexByte(want, '?'); i >= 0 {
					want = want[i+1:] // the hook's uri had a query of its own
				}
			}
		case strings.Contains(v.Note, "insertion order"):
			got, want = string(appendJSON(nil, event, jsonCompact)), v.body(t)
		case v.Kazoo == "5":
			got, want = string(appendJSON(nil, event, jsonCanonical)), v.body(t)
		default:
			got, want = string(appendJSON(nil, event, jsonPretty)), v.body(t)
		}
		counts[v.Verb+" "+v.Format]++
		if got != want {
			t.Errorf("%s:\n%s", v.Name, cmp.Diff(want, got))
		}
	}
	t.Log(counts)
	if counts["post form-data"] < 100 {
		t.Errorf("only %v vectors compared", counts)
	}
}

func TestIOListHasKazoosShape(t *testing.T) {
	t.Parallel()
	type stored struct {
		Name string `json:"name"`
		Item struct {
			ReqBody any `json:"req_body"`
		} `json:"api_item"`
	}
	var event *jobj
	for _, v := range vectors(t) {
		if v.Name == "k4m_notification_inbound_fax" {
			event = v.Expect
		}
	}
	for _, a := range readLines[stored](t, "testdata/attempts.jsonl") {
		if a.Name != "attempt_k4m_notification_inbound_fax" {
			continue
		}
		got, err := encoderFor(version5).encode(event)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a.Item.ReqBody, any(got)); diff != "" {
			t.Error(diff)
		}
		return
	}
	t.Fatal("vector not found")
}

func TestEncoderCrashes(t *testing.T) {
	t.Parallel()
	objects := obj("items", []any{obj("name", "x")})
	for name, tc := range map[string]struct {
		event   *jobj
		v43, v5 bool
	}{
		"null":                     {obj("a", nil), true, true},
		"nested null":              {obj("a", obj("b", nil)), true, true},
		"null in an array":         {obj("a", []any{nil}), false, false},
		"objects in an array":      {objects, true, false},
		"objects in nested arrays": {obj("a", []any{[]any{obj()}}), true, true},
		"no byte in nested arrays": {obj("a", []any{[]any{[]any{json.Number("256")}}}), true, true},
	} {
		for v, want := range map[version]bool{version43: tc.v43, version5: tc.v5} {
			_, err := encoderFor(v).encode(tc.event)
			if got := errors.Is(err, errEncoderCrash); got != want {
				t.Errorf("%s on %v: crashes %v, want %v (%v)", name, v, got, want, err)
			}
		}
	}
}

func TestFloats(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		f               float64
		v43, head, json string
	}{
		{20.5, "2.05", "20.5", "20.5"},
		{0.0075, "7.49", "0.0075", "0.0075"},
		{1e-7, "9.99", "1.0e-7", "1e-7"},
		{1e21, "1.00", "1.0e+21", "1e+21"},
		{-3.75, "-3.75", "-3.75", "-3.75"},
		{0, "0.00", "0.0", "0.0"},
		{100, "1.00", "100.0", "100.0"},
		{1.25e-9, "1.25", "1.25e-9", "1.25e-9"},
	} {
		if got := encoderFor(version43).float(tc.f); got != tc.v43 {
			t.Errorf("4.3 sends %v as %s, want %s", tc.f, got, tc.v43)
		}
		if got := encoderFor(version5).float(tc.f); got != tc.head {
			t.Errorf("HEAD sends %v as %s, want %s", tc.f, got, tc.head)
		}
		if got := jsonFloat(tc.f); got != tc.json {
			t.Errorf("JSON of %v is %s, want %s", tc.f, got, tc.json)
		}
	}
}
