package event

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseFormGivesThePairsOfEveryVector(t *testing.T) {
	t.Parallel()
	for _, v := range sentVectors(t) {
		if v.Pairs == nil {
			continue
		}
		got, err := ParseForm(v.body(t))
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
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

// unb64 undoes the marking of texts that are not valid UTF-8.
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

func TestParseForm(t *testing.T) {
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
			got, err := ParseForm([]byte(tt.raw))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestParseFormIsBounded(t *testing.T) {
	t.Parallel()
	got, err := ParseForm([]byte(strings.Repeat("k=v&", 10_000)))
	if err != nil || len(got) != 10_000 {
		t.Fatalf("10,000 pairs: got %d, %v", len(got), err)
	}
	got, err = ParseForm([]byte(strings.Repeat("k=v&", MaxPairs+5)))
	if !errors.Is(err, ErrTooManyPairs) || len(got) != MaxPairs {
		t.Fatalf("got %d pairs, %v", len(got), err)
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
