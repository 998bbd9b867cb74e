package event

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitFormGivesThePairsOfEveryVector(t *testing.T) {
	t.Parallel()
	for _, v := range sentVectors(t) {
		if v.Pairs == nil {
			continue
		}
		got, beyond := splitForm(v.body(t))
		if len(beyond) > 0 {
			t.Errorf("%s: %q is left", v.Name, beyond)
		}
		want := Pairs{}
		for _, p := range v.Pairs {
			want = append(want, Pair{unb64(t, p[0]), unb64(t, p[1])})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", v.Name, diff)
		}
	}
}

// unb64 decodes the vectors' texts that are not valid UTF-8.
func unb64(t *testing.T, s string) string {
	rest, ok := strings.CutPrefix(s, "b64:")
	if !ok {
		return s
	}
	b, err := base64.StdEncoding.DecodeString(rest)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSplitForm(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		raw  string
		want Pairs
	}{
		"empty":                 {"", Pairs{}},
		"separators only":       {"&&&", Pairs{}},
		"leading and trailing":  {"&a=1&&b=2&", Pairs{{"a", "1"}, {"b", "2"}}},
		"no equals sign":        {"a&b=", Pairs{{"a", ""}, {"b", ""}}},
		"no key":                {"=x", Pairs{{"", "x"}}},
		"equals in value":       {"a=b=c", Pairs{{"a", "b=c"}}},
		"plus and escapes":      {"a=x+y%20z%2B", Pairs{{"a", "x y z+"}}},
		"lower-case escape":     {"a=%c3%a9", Pairs{{"a", "é"}}},
		"invalid escapes":       {"a=100%&b=%zz&c=%4", Pairs{{"a", "100%"}, {"b", "%zz"}, {"c", "%4"}}},
		"invalid UTF-8":         {"a=%FF\xfe", Pairs{{"a", "\xff\xfe"}}},
		"semicolon":             {"a=1;b=2", Pairs{{"a", "1;b=2"}}},
		"repeated key in order": {"a=2&a=1", Pairs{{"a", "2"}, {"a", "1"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := splitForm([]byte(tt.raw))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestSplitFormIsBounded(t *testing.T) {
	t.Parallel()
	got, beyond := splitForm([]byte(strings.Repeat("k=v&", 10_000)))
	if len(beyond) > 0 || len(got) != 10_000 {
		t.Fatalf("10,000 pairs: got %d, %q", len(got), beyond)
	}
	got, beyond = splitForm([]byte(strings.Repeat("k=v&", MaxPairs+2)))
	if string(beyond) != "k=v&k=v&" || len(got) != MaxPairs {
		t.Fatalf("got %d pairs, %q", len(got), beyond)
	}
}

func TestPairsGet(t *testing.T) {
	t.Parallel()
	p := Pairs{{"a", "1"}, {"a", "2"}}
	if p.Get("a") != "1" || p.Get("b") != "" {
		t.Errorf("got %q and %q", p.Get("a"), p.Get("b"))
	}
}

func TestEscapingIsKazoos(t *testing.T) {
	t.Parallel()
	got := string(appendEscaped(nil, "a Z-._~&=+é/\n"))
	if want := "a+Z-._~%26%3D%2B%C3%A9%2F%0A"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if back, err := url.QueryUnescape(got); err != nil || back != "a Z-._~&=+é/\n" {
		t.Errorf("does not decode: %q, %v", back, err)
	}
}

func TestPrintableKeepsInvalidBytesApart(t *testing.T) {
	t.Parallel()
	a, changedA := printable("x\xe3y")
	b, changedB := printable("x\xe4y")
	if a != `x\xe3y` || b != `x\xe4y` || !changedA || !changedB {
		t.Errorf("got %q and %q", a, b)
	}
	if s, changed := printable("é"); s != "é" || changed {
		t.Errorf("valid text changed to %q", s)
	}
}
