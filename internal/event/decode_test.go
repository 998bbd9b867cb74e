package event

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeGivesWhatWasSent(t *testing.T) {
	t.Parallel()
	for _, v := range sentVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(v.Name, "keys_") && v.Format != "json" {
				t.Skip("keys that form encoding mangles: TestDecodeOddKeys")
			}
			if strings.Contains(v.Name, "uri_with_") {
				t.Skip("the query is not what Kazoo encoded")
			}
			e := Decode(Route(v.delivery(t)))
			want := v.expected(t)
			if v.Format != "json" || v.Verb == "get" {
				want, _ = degrade(want, v.floatsAreWrong()).(map[string]any)
			}
			if want["action"] == "event" {
				env := want
				delete(env, "action")
				want, _ = env["data"].(map[string]any)
				delete(env, "data")
				lifted(t, env, e)
				want["envelope"] = env
			}
			lifted(t, want, e)
			hideSecrets(want)
			for _, d := range differ("", normal(expectInvalid(want)), normal(e.Data), v.Format == "json" && v.Verb != "get") {
				t.Error(d)
			}
			if e.Payload == nil && e.Event != Unknown {
				t.Errorf("payload %T of event %s", e.Payload, e.Event)
			}
			if strings.Contains(v.Name, "utf8_key") {
				return // has problems of its own
			}
			if e.Event != Unknown && len(e.Problems) > 0 {
				t.Errorf("problems: %q", e.Problems)
			}
		})
	}
}

// floatsAreWrong says whether the vector was encoded by 4.3, which destroys floats.
func (v vector) floatsAreWrong() bool { return strings.HasPrefix(v.Name, "k43_") }

func (v vector) expected(t *testing.T) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(v.Expect)))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	if v.Name == "k4m_object_user_doc_deleted_uri_with_fragment_get" {
		return map[string]any{}
	}
	return m
}

// anyFloat stands for a number that 4.3 destroyed; it matches any text.
const anyFloat = "\x00float"

// degrade turns a value into what a form can hold: scalars are text, null and
// empty containers are absent (nil), the items of nested arrays are joined, and
// an object in an array is its JSON.
func degrade(v any, wrongFloats bool) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for key, item := range v {
			if d := degrade(item, wrongFloats); d != nil {
				m[key] = d
			}
		}
		if len(m) == 0 {
			return nil
		}
		return m
	case []any:
		var list []any
		for _, item := range v {
			switch item := item.(type) {
			case nil:
				list = append(list, "null")
			case map[string]any:
				list = append(list, item) // Decode parses its JSON
			case []any:
				list = append(list, runTogether(item))
			default:
				list = append(list, degrade(item, wrongFloats))
			}
		}
		if list == nil {
			return nil
		}
		return list
	case json.Number:
		if wrongFloats && strings.ContainsAny(string(v), ".eE") {
			return anyFloat
		}
		return string(v)
	case bool:
		return fmt.Sprint(v)
	}
	return v
}

func runTogether(list []any) string {
	s := ""
	for _, item := range list {
		if n, ok := item.(json.Number); ok {
			i, _ := n.Int64()
			s += string(rune(i))
			continue
		}
		s += item.(string)
	}
	return s
}

// lifted checks and removes the keys that are fields of the event, not of its data.
func lifted(t *testing.T, m map[string]any, e Event) {
	t.Helper()
	check := func(key, field string) {
		want, ok := m[key].(string)
		if _, kept := e.Data[key]; !ok || kept {
			return
		}
		if want != field {
			t.Errorf("%s was %q and became %q", key, want, field)
		}
		delete(m, key)
	}
	check("cluster_id", e.ClusterID)
	check("account_id", e.AccountID)
	if e.Action != "" {
		check("action", string(e.Action))
		check("type", e.ObjectType)
		check("id", e.ObjectID)
	}
}

func hideSecrets(m map[string]any) {
	for _, key := range []string{"password", "password_reset_link", "account_api_key"} {
		if _, ok := m[key]; ok {
			m[key] = Masked
		}
	}
}

// expectInvalid replaces the vectors' names for keys that are not UTF-8.
func expectInvalid(m map[string]any) map[string]any {
	bag, ok := m["databag"].(map[string]any)
	if !ok {
		return m
	}
	for key, name := range map[string]string{"$b64:44l046lfbmFtZQ==": `\xe3\x89t\xe3\xa9_name`, "$b64:44DjiQ==": `\xe3\x80\xe3\x89`} {
		if v, ok := bag[key]; ok {
			bag[name] = v
			delete(bag, key)
		}
	}
	return m
}

// normal rewrites each text that is a JSON object as our encoder writes it.
func normal(m map[string]any) map[string]any {
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			c := map[string]any{}
			for key, item := range v {
				c[key] = walk(item)
			}
			return c
		case []any:
			c := []any{}
			for _, item := range v {
				c = append(c, walk(item))
			}
			return c
		case string:
			if strings.HasPrefix(v, "{") && json.Valid([]byte(v)) {
				return string(appendObject(nil, jsonTree{&problems{}}.object([]byte(v), 1)))
			}
		}
		return v
	}
	return walk(m).(map[string]any)
}

// differ lists where two values differ. If exactly is set, their types must be the
// same, too; otherwise a number or boolean equals its text.
func differ(path string, want, got any, exactly bool) []string {
	switch want := want.(type) {
	case map[string]any:
		gotMap, ok := got.(map[string]any)
		if !ok {
			break
		}
		var diffs []string
		for key, v := range want {
			g, there := gotMap[key]
			if !there {
				diffs = append(diffs, path+"."+key+": missing")
				continue
			}
			diffs = append(diffs, differ(path+"."+key, v, g, exactly)...)
		}
		for key := range gotMap {
			if _, there := want[key]; !there && !readableTime(key, want, gotMap[key]) {
				diffs = append(diffs, path+"."+key+": unexpected")
			}
		}
		return diffs
	case []any:
		gotList, ok := got.([]any)
		if !ok || len(gotList) != len(want) {
			break
		}
		var diffs []string
		for i, v := range want {
			diffs = append(diffs, differ(fmt.Sprint(path, i), v, gotList[i], exactly)...)
		}
		return diffs
	default:
		if want == anyFloat || want == got || sameNumber(want, got, exactly) {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: want %#v, got %#v", path, want, got)}
}

// readableTime reports whether a value is the readable form of a time that was sent.
func readableTime(key string, sent map[string]any, got any) bool {
	text, _ := scalarText(sent[strings.TrimSuffix(key, timeSuffix)])
	seconds, ok := integer(text)
	return ok && strings.HasSuffix(key, timeSuffix) && got == Gregorian(seconds).Time().Format(time.RFC3339)
}

func sameNumber(want, got any, exactly bool) bool {
	if _, ok := want.(json.Number); exactly && !ok {
		return false
	}
	if _, ok := got.(json.Number); exactly && !ok {
		return false
	}
	x, okX := scalarText(want)
	y, okY := scalarText(got)
	if !okX || !okY {
		return false
	}
	f, okF := new(big.Float).SetString(x)
	g, okG := new(big.Float).SetString(y)
	return x == y || okF && okG && f.Cmp(g) == 0
}

func TestDecodeOddKeys(t *testing.T) {
	t.Parallel()
	e := Decode(Route(vectorNamed(t, "k43_synthetic_keys_odd_form").delivery(t)))
	want := map[string]any{
		"caller_id_Number": "+1", "with.dot": "d", "with": map[string]any{"bracket": "b"}, "UPPER": "u",
		"sp ace": "s", "am": "", "p": "a", "e": "q=e", "pl us": "p", "pctA": "c", "se;mi": "s", "ha#sh": "h",
		"ключ": "k", "": "emptykey", "nest": map[string]any{"in.dot": "1", "in[br]": "2", "a b": "3"},
	}
	if diff := cmp.Diff(want, e.Data); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	e = Decode(Route(vectorNamed(t, "k5_synthetic_keys_collide_form").delivery(t)))
	want = map[string]any{"a": map[string]any{"b": []any{"nested", "flat"}}, "c": []any{"x", "flat"}}
	if diff := cmp.Diff(want, e.Data); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if len(e.Problems) != 2 || !strings.Contains(e.Problems[1], `"b`) && !strings.Contains(e.Problems[1], "b]") {
		t.Errorf("problems: %q", e.Problems)
	}
}

// TestKnownObject: what the journal knows of an object is added to what Kazoo sent,
// and replaces none of it.
func TestKnownObject(t *testing.T) {
	t.Parallel()
	known := Known{Name: "Ann Lee", Fields: map[string]string{"username": "ann", "email": "ann@example.com"}}
	for name, test := range map[string]struct {
		body     string
		name     string
		username any
	}{
		"nothing sent": {"id=u1&account_id=a&action=doc_deleted&type=user", "Ann Lee", "ann"},
		"a name sent":  {"id=u1&account_id=a&action=doc_deleted&type=user&first_name=Bob&username=bob", "Bob", "bob"},
		"no object":    {"event_name=new_user&event_category=notification&msg_id=m", "", nil},
	} {
		r := Route(Request{Source: SourceWebhook, Hook: "object", Method: "POST", ContentType: "application/x-www-form-urlencoded", Body: []byte(test.body)})
		r.Known = known
		e := Decode(r)
		if e.ObjectName != test.name || e.Data["username"] != test.username || test.username != nil && e.Data["email"] != "ann@example.com" {
			t.Errorf("%s: %q, %v", name, e.ObjectName, e.Data)
		}
	}
}
