package event

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestTree(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	tests := map[string]struct {
		raw      string
		want     m
		problems int
	}{
		"nested":                  {"a[b][c]=1&a[b][d]=2&a[e]=3", m{"a": m{"b": m{"c": "1", "d": "2"}, "e": "3"}}, 0},
		"arrays":                  {"a[]=1&a[]=2&b[c][]=3", m{"a": []any{"1", "2"}, "b": m{"c": []any{"3"}}}, 0},
		"scalar, then member":     {"a=1&a[b]=2", m{"a": []any{"1", m{"b": "2"}}}, 1},
		"member, then scalar":     {"a[b]=2&a=1&a[c]=3", m{"a": []any{"1", m{"b": "2", "c": "3"}}}, 1},
		"array, then member":      {"a[]=1&a[b]=2&a[b]=3", m{"a": []any{"1", m{"b": []any{"2", "3"}}}}, 2},
		"member, then array":      {"a[b]=2&a[]=1", m{"a": []any{"1", m{"b": "2"}}}, 1},
		"array, then scalar":      {"a[]=1&a=2", m{"a": []any{"1", "2"}}, 1},
		"scalar, then array":      {"a=1&a[]=2", m{"a": []any{"1", "2"}}, 1},
		"thrice":                  {"a=1&a=2&a=3", m{"a": []any{"1", "2", "3"}}, 1},
		"member of three":         {"a=1&a=2&a[b][c]=3&a[b][d]=4", m{"a": []any{"1", "2", m{"b": m{"c": "3", "d": "4"}}}}, 1},
		"brackets in a name":      {"a[b[c]]=1&a[[]]=2", m{"a": m{"b[c]": "1", "[]": "2"}}, 0},
		"no name":                 {"[a]=1&[]=2", m{"": []any{"2", m{"a": "1"}}}, 1},
		"empty name in between":   {"a[][b]=1", m{"a": m{"": m{"b": "1"}}}, 0},
		"unclosed":                {"a[b=1&a]b=2&a[b]c=3&a[b]]=4", m{"a[b": "1", "a]b": "2", "a[b]c": "3", "a[b]]": "4"}, 3},
		"invalid UTF-8":           {"%ff[%fe]=%fd&%fe=1", m{`\xff`: m{`\xfe`: `\xfd`}, `\xfe`: "1"}, 3},
		"as deep as can be":       {"a" + strings.Repeat("[a]", 63) + "=1", nestedIn("a", 64, "1"), 0},
		"deeper":                  {"a" + strings.Repeat("[a]", 64) + "=1", m{"a" + strings.Repeat("[a]", 64): "1"}, 1},
		"deep, as an array":       {"a" + strings.Repeat("[a]", 63) + "[]=1", nestedIn("a", 64, []any{"1"}), 0},
		"200 levels":              {"a" + strings.Repeat("[b]", 200) + "=1&c=2", m{"a" + strings.Repeat("[b]", 200): "1", "c": "2"}, 1},
		"the same deep key twice": {strings.Repeat("a"+strings.Repeat("[b]", 80)+"=1&", 2), m{"a" + strings.Repeat("[b]", 80): []any{"1", "1"}}, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := Decode(Route(form("", tt.raw)))
			if !reflect.DeepEqual(tt.want, e.Data) { // cmp takes exponential time in nested slices
				t.Errorf("got  %v\nwant %v", e.Data, tt.want)
			}
			if got := len(e.Problems) - 1; got != tt.problems { // the first: unknown event
				t.Errorf("problems: %q, want %d", e.Problems, tt.problems)
			}
		})
	}
}

func nestedIn(key string, levels int, v any) map[string]any {
	for range levels - 1 {
		v = map[string]any{key: v}
	}
	return map[string]any{key: v}
}

func TestHugeFormsAreBounded(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&many, "k%d[a][b]=%d&", i, i)
	}
	wide := strings.Repeat("a&b[c]&", 150_000)
	deep := strings.Repeat("a"+strings.Repeat("[b]", 60)+strings.Repeat("[x]", 3)+"=1&", 5000)
	for name, body := range map[string]string{
		"10,000 keys": many.String(),
		"all pairs":   wide,
		"deep":        deep,
		"brackets":    strings.Repeat("[", 1<<20),
		"bracket key": "a" + strings.Repeat("[]", 1<<19) + "=1",
		"percent":     strings.Repeat("%", 1<<20),
		"separators":  strings.Repeat("&", 1<<20),
		"chains":      chains(15_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			r := Route(form("", body))
			e := Decode(r)
			line := e.AppendJSON(nil)
			MaskBody(r.ContentType, r.Body)
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
			if !json.Valid(line) {
				t.Error("not JSON")
			}
		})
	}
	e := Decode(Route(form("", many.String())))
	if len(e.Data) != 10_000 || len(e.Problems) != 1 {
		t.Errorf("%d keys, problems %q", len(e.Data), e.Problems)
	}
	e = Decode(Route(form("", strings.Repeat("a=1&", MaxPairs)+"b=2&c=3")))
	if e.Data["_rest"] != "b=2&c=3" {
		t.Errorf("the rest is %v", e.Data["_rest"])
	}
}

// chains makes n deep keys that share no part of their path.
func chains(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d[a][b][c][d][e][f][g][h]=1&", i)
	}
	return b.String()
}

func TestJSONTree(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	tests := map[string]struct {
		raw      string
		want     m
		problems int
	}{
		"all types":     {` {"s":"x","i":123456789012345678901234567890,"f":1e-7,"t":true,"f2":false,"n":null,"a":[],"o":{}} `, m{"s": "x", "i": json.Number("123456789012345678901234567890"), "f": json.Number("1e-7"), "t": true, "f2": false, "n": nil, "a": []any{}, "o": m{}}, 0},
		"arrays":        {`{"a":[1,[2,{"b":[ ]}] , "x"]}`, m{"a": []any{json.Number("1"), []any{json.Number("2"), m{"b": []any{}}}, "x"}}, 0},
		"escapes":       {`{"\u006b":"\"\\\/\b\f\n\r\t\ud83d\ude00\ud800x"}`, m{"k": "\"\\/\b\f\n\r\t😀\ufffdx"}, 0},
		"repeated key":  {`{"a":1,"a":[2],"a":3,"b":[1],"b":2}`, m{"a": []any{json.Number("1"), []any{json.Number("2")}, json.Number("3")}, "b": []any{[]any{json.Number("1")}, json.Number("2")}}, 2},
		"invalid UTF-8": {"{\"a\":\"x\xe3\",\"b\":\"\\n\xe3\"}", m{"a": `x\xe3`, "b": "\n" + `\xe3`}, 1},
		"200 levels":    {`{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, m{"a": inLists(63, strings.Repeat("[", 137)+strings.Repeat("]", 137))}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := Decode(Route(jsonBody("", tt.raw)))
			if !reflect.DeepEqual(tt.want, e.Data) { // cmp takes exponential time in nested slices
				t.Errorf("got  %v\nwant %v", e.Data, tt.want)
			}
			if got := len(e.Problems) - 1; got != tt.problems {
				t.Errorf("problems: %q, want %d", e.Problems, tt.problems)
			}
		})
	}
	e := Decode(Route(jsonBody("", `{"a"`)))
	if e.Data != nil || e.Payload != nil || len(e.Problems) != 1 {
		t.Errorf("broken JSON: %+v", e)
	}
}

func inLists(n int, v any) any {
	for range n {
		v = []any{v}
	}
	return v
}
