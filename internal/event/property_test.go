package event

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// kazooForm encodes an event as HEAD and 5 do (core/kazoo_web/src/kz_http_util.erl,
// json_to_querystring): keys raw, an empty container leaves its separator.
func kazooForm(m []member, prefix string) string {
	parts := make([]string, 0, len(m))
	for _, kv := range m {
		key := kv.key
		if prefix != "" {
			key = prefix + "[" + kv.key + "]"
		}
		parts = append(parts, kazooField(key, kv.value))
	}
	return strings.Join(parts, "&")
}

func kazooField(key string, v any) string {
	switch v := v.(type) {
	case []member:
		return kazooForm(v, key)
	case []any:
		items := make([]string, 0, len(v))
		for _, item := range v {
			items = append(items, key+"[]="+kazooValue(item))
		}
		return strings.Join(items, "&")
	}
	return key + "=" + kazooValue(v)
}

func kazooValue(v any) string {
	switch v := v.(type) {
	case string:
		return string(appendEscaped(nil, v))
	case []member:
		return string(appendEscaped(nil, appendObject(nil, asMap(v).(map[string]any))))
	case nil:
		return "null"
	}
	return fmt.Sprint(v)
}

// member is a member of an object in Kazoo's order.
type member struct {
	key   string
	value any
}

// asMap turns members into maps, as encoding/json does.
func asMap(v any) any {
	switch v := v.(type) {
	case []member:
		m := map[string]any{}
		for _, kv := range v {
			m[kv.key] = asMap(kv.value)
		}
		return m
	case []any:
		list := make([]any, 0, len(v))
		for _, item := range v {
			list = append(list, asMap(item))
		}
		return list
	case int:
		return json.Number(strconv.Itoa(v))
	}
	return v
}

func drawMembers(t *rapid.T, depth int) []member {
	keys := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
		"a", "b", "Owner-ID", "sp ace", "with.dot", "UPPER", "ключ", "x_y", "10", "se;mi", "ha#sh", "_rest", "?",
	}), 0, 6, rapid.ID[string]).Draw(t, "keys")
	var m []member
	for _, key := range keys {
		m = append(m, member{key, drawValue(t, depth)})
	}
	return m
}

func drawScalar(t *rapid.T) any {
	switch rapid.IntRange(0, 3).Draw(t, "scalar") {
	case 0:
		return rapid.Bool().Draw(t, "bool")
	case 1:
		return rapid.Int().Draw(t, "int")
	}
	return strings.TrimLeft(rapid.String().Draw(t, "text"), "{[ \n\r\t") // text that looks like JSON may be masked
}

func drawValue(t *rapid.T, depth int) any {
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	switch {
	case kind == 0 && depth > 0:
		return drawMembers(t, depth-1)
	case kind == 1:
		return []any{}
	case kind == 2:
		n := rapid.IntRange(1, 4).Draw(t, "n")
		list := make([]any, 0, n)
		for range n {
			if rapid.Bool().Draw(t, "object") {
				list = append(list, drawMembers(t, 1))
			} else {
				list = append(list, drawScalar(t))
			}
		}
		return list
	}
	return drawScalar(t)
}

func TestWhatKazooEncodesIsDecoded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sent := drawMembers(t, 4)
		body := kazooForm(sent, "")
		e := Decode(Route(form("", body)))
		want, _ := degrade(asMap(sent), false).(map[string]any)
		if want == nil {
			want = map[string]any{}
		}
		if !reflect.DeepEqual(want, e.Data) {
			t.Fatalf("%s\ngot  %v\nwant %v", body, e.Data, want)
		}
		if len(e.Problems) != 1 {
			t.Fatalf("%s: problems %q", body, e.Problems)
		}
	})
}

func TestWhatKazooEncodesAsJSONIsDecoded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want, _ := asMap(drawMembers(t, 4)).(map[string]any)
		e := Decode(Route(jsonBody("", string(appendObject(nil, want)))))
		if !reflect.DeepEqual(want, e.Data) {
			t.Fatalf("got  %v\nwant %v", e.Data, want)
		}
	})
}

func TestADeletionIsRoutedWhateverSurroundsIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[0-9a-f]{32}`).Draw(t, "id")
		around := drawMembers(t, 3)
		members := append([]member{{"id", id}, {"account_id", "acc"}, {"action", "doc_deleted"}, {"type", "user"}}, around...)
		members = rapid.Permutation(members).Draw(t, "order")
		for _, d := range []Request{
			form("object", kazooForm(members, "")),
			jsonBody("object", string(appendObject(nil, asMap(members).(map[string]any)))),
			form("object", "action=event&name=doc_deleted&"+kazooForm(members, "data")+"&timestamp=1"),
		} {
			r := Route(d)
			if r.Event != "user.deleted" || r.ObjectID != id || r.AccountID != "acc" || r.Dedupe != (Dedupe{RuleLifecycle, LifecycleKey("acc", "user", id)}) {
				t.Fatalf("%s: %+v", d.Body, r)
			}
		}
	})
}
