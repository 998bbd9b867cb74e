package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestFlattenIOListGivesTheBodyOfEveryAttempt(t *testing.T) {
	t.Parallel()
	n := 0
	eachLine(t, "testdata/attempts.jsonl", func(line []byte) {
		var a struct {
			Name    string `json:"name"`
			APIItem struct {
				ReqBody json.RawMessage `json:"req_body"`
			} `json:"api_item"`
			BodyB64 string `json:"body_b64"`
		}
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatal(err)
		}
		want, err := base64.StdEncoding.DecodeString(a.BodyB64)
		if err != nil {
			t.Fatal(err)
		}
		got, err := FlattenIOList(a.APIItem.ReqBody)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v\ngot  %q\nwant %q", a.Name, err, got, want)
		}
		n++
	})
	if n != 9 {
		t.Errorf("%d attempts, want 9", n)
	}
}

func TestFlattenIOList(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ in, want string }{
		"plain":         {`"a=1"`, "a=1"},
		"empty string":  {`""`, ""},
		"empty list":    {`[]`, ""},
		"nested":        {`[["id","=","5f"],"&",[["a"],"[","b","]","=",[[["x"]]]]]`, "id=5f&a[b]=x"},
		"bytes":         {`[97,61,[49,50],"&"]`, "a=12&"},
		"high bytes":    {`[195,169,255]`, "é\xff"},
		"one byte":      {`65`, "A"},
		"escapes":       {`["\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"]`, "\"\\/\b\f\n\r\té😀"},
		"invalid UTF-8": {"[\"\xe3x\\n\"]", "\xe3x\n"},
		"spaces":        {" [ \"a\" ,\n\t[ ] , 61 ] ", "a="},
		"very deep":     {strings.Repeat("[", 9000) + `"x"` + strings.Repeat("]", 9000), "x"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := FlattenIOList(json.RawMessage(tt.in))
			if err != nil || string(got) != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestFlattenIOListRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{``, `{}`, `null`, `[true]`, `[256]`, `[1.5]`, `[-1]`, `["a"`, `[1e2]`, `[{"a":1}]`, `"a" "b"`,
		strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)} {
		if got, err := FlattenIOList(json.RawMessage(in)); !errors.Is(err, errNotIOList) {
			t.Errorf("%.40s: got %q, %v", in, got, err)
		}
	}
}
