package event

import (
	"strings"
	"testing"
)

// TestBothDecodersKeepWhatWasSent decodes each case as a form and as JSON, where
// that format can hold it, and checks the data and the number of problems.
func TestBothDecodersKeepWhatWasSent(t *testing.T) {
	t.Parallel()
	const formHead, jsonHead = "hook_event=channel_destroy&call_id=c1&", `{"hook_event":"channel_destroy","call_id":"c1",`
	for name, tt := range map[string]struct {
		form, json string
		data       string // without the keys that all cases have
		problems   int
	}{
		"absent":                  {"a=1", `"a":"1"`, `{"a":"1"}`, 0},
		"empty text":              {"to=&from=", `"to":"","from":""`, `{"from":"","to":""}`, 0},
		"zero":                    {"billing_seconds=0", `"billing_seconds":0`, `{"billing_seconds":0}`, 0},
		"false":                   {"is_internal_leg=false", `"is_internal_leg":false`, `{"is_internal_leg":false}`, 0},
		"numbers as text":         {"billing_seconds=5&is_internal_leg=true", `"billing_seconds":"5","is_internal_leg":"true"`, `{"billing_seconds":5,"is_internal_leg":true}`, 0},
		"beyond 64 bits":          {"", `"billing_seconds":123456789012345678901234567890`, `{"billing_seconds":123456789012345678901234567890}`, 1},
		"beyond 64 bits, text":    {"billing_seconds=123456789012345678901234567890", "", `{"billing_seconds":"123456789012345678901234567890"}`, 1},
		"digits of other numbers": {"", `"cost":0.12345678901234567890123,"big":1e400`, `{"big":1e400,"cost":0.12345678901234567890123}`, 0},
		"no whole number":         {"billing_seconds=5.5", "", `{"billing_seconds":"5.5"}`, 1},
		"no whole number, JSON":   {"", `"billing_seconds":5.5`, `{"billing_seconds":5.5}`, 1},
		"leading zeros":           {"billing_seconds=007", `"billing_seconds":"007"`, `{"billing_seconds":"007"}`, 1},
		"one is not true":         {"is_internal_leg=1", `"is_internal_leg":"1"`, `{"is_internal_leg":"1"}`, 1},
		"empty number":            {"billing_seconds=", `"billing_seconds":""`, `{"billing_seconds":""}`, 1},
		"two misfits":             {"billing_seconds=x&ringing_seconds=y", `"billing_seconds":"x","ringing_seconds":"y"`, `{"billing_seconds":"x","ringing_seconds":"y"}`, 2},
		"a list for a text":       {"to[]=a&to[]=b", `"to":["a","b"]`, `{"to":["a","b"]}`, 0},
		"a list for a number":     {"billing_seconds[]=1&billing_seconds[]=2", `"billing_seconds":[1,2]`, `{"billing_seconds":[1,2]}`, 0},
		"an object for a text":    {"to[x]=a", `"to":{"x":"a"}`, `{"to":{"x":"a"}}`, 1},
		"a number for a text":     {"", `"to":1001`, `{"to":1001}`, 0},
		"a truth for a text":      {"", `"to":true`, `{"to":true}`, 0},
		"null":                    {"", `"to":null,"billing_seconds":null,"custom_channel_vars":null`, `{"billing_seconds":null,"custom_channel_vars":null,"to":null}`, 0},
		"a key twice":             {"to=a&to=b", `"to":"a","to":"b"`, `{"to":["a","b"]}`, 1},
		"a key thrice":            {"to=a&to=b&to=c", `"to":"a","to":"b","to":"c"`, `{"to":["a","b","c"]}`, 1},
		"a number twice":          {"billing_seconds=1&billing_seconds=2", `"billing_seconds":1,"billing_seconds":2`, `{"billing_seconds":[1,2]}`, 1},
		"alone and in a list":     {"to=a&to[]=b", "", `{"to":["a","b"]}`, 1},
		"alone and an object":     {"to=a&to[x]=b", "", `{"to":["a",{"x":"b"}]}`, 2},
		"nested fields":           {"custom_channel_vars[owner_id]=o&custom_channel_vars[Owner-ID]=p", `"custom_channel_vars":{"owner_id":"o","Owner-ID":"p"}`, `{"custom_channel_vars":{"Owner-ID":"p","owner_id":"o"}}`, 0},
		"text for an object":      {"custom_channel_vars=x", `"custom_channel_vars":"x"`, `{"custom_channel_vars":"x"}`, 0},
		"number for an object":    {"", `"custom_channel_vars":5`, `{"custom_channel_vars":5}`, 1},
		"text and object":         {"custom_channel_vars=x&custom_channel_vars[owner_id]=o", "", `{"custom_channel_vars":["x",{"owner_id":"o"}]}`, 1},
		"an object twice":         {"", `"custom_channel_vars":{"owner_id":"o"},"custom_channel_vars":{"owner_id":"p"}`, `{"custom_channel_vars":[{"owner_id":"o"},{"owner_id":"p"}]}`, 1},
		"empty objects and lists": {"", `"custom_channel_vars":{},"custom_application_vars":{},"list":[]`, `{"custom_application_vars":{},"custom_channel_vars":{},"list":[]}`, 0},
		"objects in a list":       {"items[]=%7B%22a%22%3A1%7D&items[]=%7B%22b%22%3A%5Btrue%2Cnull%5D%7D&items[]=%7Bno", "", `{"items":[{"a":1},{"b":[true,null]},"{no"]}`, 0},
		"one text that is JSON":   {"note=%7B%22a%22%3A1%7D", `"note":"{\"a\":1}"`, `{"note":"{\"a\":1}"}`, 0},
		"invalid UTF-8":           {"to=%ff", `"to":"` + "\xff" + `"`, `{"to":"\\xff"}`, 1},
		"escapes":                 {"to=%22%5C%0a%c3%a9", `"to":"\"\\\n\u00e9"`, `{"to":"\"\\\né"}`, 0},
		"a time":                  {"timestamp=63900000000", `"timestamp":"63900000000"`, `{"timestamp":63900000000,"timestamp_time":"2024-11-28T08:00:00Z"}`, 0},
		"a time in a list":        {"timestamp[]=63900000000", `"timestamp":[63900000000]`, `{"timestamp":[63900000000]}`, 0},
	} {
		for format, d := range map[string]Request{
			"form": form("channel_destroy", formHead+tt.form), "JSON": jsonBody("channel_destroy", jsonHead+tt.json+"}"),
		} {
			if format == "form" && tt.form == "" || format == "JSON" && tt.json == "" {
				continue
			}
			e := Decode(Route(d))
			delete(e.Data, "hook_event")
			delete(e.Data, "call_id")
			got, want := string(appendObject(nil, e.Data)), tt.data
			if got != want {
				t.Errorf("%s as %s:\ngot  %s\nwant %s", name, format, got, want)
			}
			if len(e.Problems) != tt.problems {
				t.Errorf("%s as %s: problems %q, want %d", name, format, e.Problems, tt.problems)
			}
		}
	}
}

// TestConflictsKeepBoth: a key of a form may have a value and sub-keys at once. Both
// are kept.
func TestConflictsKeepBoth(t *testing.T) {
	t.Parallel()
	const head = "event_category=notification&event_name=port_comment&"
	for body, want := range map[string]string{
		"comment=x&comment=y&comment[is_private]=true":                `{"comment":["x","y",{"is_private":true}]}`,
		"comment=x&comment[is_private]=maybe&comment[content]=c":      `{"comment":["x",{"content":"c","is_private":"maybe"}]}`,
		"comment[]=x&comment[content]=c":                              `{"comment":["x",{"content":"c"}]}`,
		"comment[other][is_private]=true&comment[content]=c":          `{"comment":{"content":"c","other":{"is_private":true}}}`,
		"comment=x&comment[other]=o&comment[content]=c":               `{"comment":["x",{"content":"c","other":"o"}]}`,
		"comment[content]=c&comment[content]=d&comment[user_id]=u":    `{"comment":{"content":["c","d"],"user_id":"u"}}`,
		"comment[content][]=c&comment[content][]=d&comment[author]=a": `{"comment":{"author":"a","content":["c","d"]}}`,
	} {
		e := Decode(Route(form("notifications", head+body)))
		delete(e.Data, "event_category")
		delete(e.Data, "event_name")
		check(t, body, string(appendObject(nil, e.Data)), want)
	}
}

// TestEnvelopesOfTooManyPairsKeepTheRest: pairs beyond the limit are kept as text
// in the envelope.
func TestEnvelopesOfTooManyPairsKeepTheRest(t *testing.T) {
	t.Parallel()
	body := "action=event&name=doc_edited&data[id]=u1&data[type]=user" + strings.Repeat("&data[x][]=1", MaxPairs) + "&data[password]=" + marked
	e := Decode(Route(form("object", body)))
	envelope, _ := e.Data["envelope"].(map[string]any)
	rest, _ := envelope["_rest"].(string)
	if !strings.HasSuffix(rest, "&data[password]="+Masked) || len(e.Problems) != 1 || e.ObjectID != "u1" {
		t.Errorf("rest %.40s, problems %q", rest, e.Problems)
	}
}

func TestNamesOfNoFamily(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"foo.bar": "request not understood", "foo_bar": "foo bar event", "unknown": "request not understood", "channel": "channel event"} {
		e := Decode(Record{Event: name})
		if e.Message() != want || e.Payload != nil {
			t.Errorf("%s: %q, payload %T", name, e.Message(), e.Payload)
		}
	}
}
