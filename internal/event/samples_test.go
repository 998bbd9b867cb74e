package event

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// samples are Kazoo's published samples, by hook. Their keys and types are those
// of applications/crossbar/priv/webhooks_*-samples.json; their values are ours.
func samples(t testing.TB) map[string][]json.RawMessage {
	t.Helper()
	raw, err := os.ReadFile("testdata/samples.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string][]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// eachSample calls do for every sample, decoded from JSON and from the form that
// Kazoo would send.
func eachSample(t *testing.T, do func(t *testing.T, name string, asJSON, asForm Event)) {
	t.Helper()
	n := 0
	for id, bodies := range samples(t) {
		hook := strings.TrimPrefix(id, "webhooks_")
		for _, body := range bodies {
			n++
			members := jsonTree{&problems{}}.object(body, 1)
			asJSON := Decode(Route(jsonBody(hook, string(body))))
			do(t, asJSON.Event, asJSON, Decode(Route(form(hook, kazooForm(ordered(members), "")))))
		}
	}
	if n != 44 {
		t.Errorf("%d samples, want 44", n)
	}
}

// ordered turns a map into members, sorted by key.
func ordered(v map[string]any) []member {
	var m []member
	for _, key := range slices.Sorted(maps.Keys(v)) {
		switch v := v[key].(type) {
		case map[string]any:
			m = append(m, member{key, ordered(v)})
		case []any:
			list := make([]any, 0, len(v))
			for _, item := range v {
				if object, ok := item.(map[string]any); ok {
					list = append(list, ordered(object))
				} else {
					list = append(list, item)
				}
			}
			m = append(m, member{key, list})
		default:
			m = append(m, member{key, v})
		}
	}
	return m
}

// TestPublishedSamplesAreUnderstood does what doctor does with a cluster's samples.
func TestPublishedSamplesAreUnderstood(t *testing.T) {
	t.Parallel()
	eachSample(t, func(t *testing.T, name string, asJSON, asForm Event) {
		t.Helper()
		for format, e := range map[string]Event{"JSON": asJSON, "form": asForm} {
			if e.Event == Unknown || e.Event != name || len(e.Problems) > 0 || e.Payload == nil {
				t.Errorf("%s as %s: event %s, payload %T, problems %q", name, format, e.Event, e.Payload, e.Problems)
			}
		}
	})
}

// TestFormsAndJSONHaveTheSameTypes: a value that a form can hold has the same type
// in both formats, if the table knows its key.
func TestFormsAndJSONHaveTheSameTypes(t *testing.T) {
	t.Parallel()
	eachSample(t, func(t *testing.T, name string, asJSON, asForm Event) {
		t.Helper()
		compareTypes(t, name, asJSON.Data, asForm.Data)
	})
}

func compareTypes(t *testing.T, path string, want, got map[string]any) {
	t.Helper()
	for key, v := range want {
		at := path + "." + key
		switch v := v.(type) {
		case map[string]any:
			inner, _ := got[key].(map[string]any)
			compareTypes(t, at, v, inner)
		case json.Number, bool:
			kind, known := planned.nested[key]
			if known && kind != kindAmount && got[key] != v {
				t.Errorf("%s: JSON %T %v, form %T %v", at, v, v, got[key], got[key])
			}
		}
	}
}

// TestNestedValuesHaveTypes is about values that no struct has a field for.
func TestNestedValuesHaveTypes(t *testing.T) {
	t.Parallel()
	e := Decode(Route(form("notifications", "event_category=notification&event_name=missed_call&to[]=a&to[]=b&timestamp=63900000900"+
		"&notify[billing_seconds]=7&notify[is_private]=false&notify[timestamp]=63900000901&notify[ringing_seconds]=soon"+
		"&notify[custom_channel_vars][is_private]=true&comment[is_private]=true&billing_seconds=9")))
	want := `{"billing_seconds":"9","comment":{"is_private":true},"event_category":"notification","event_name":"missed_call",` +
		`"notify":{"billing_seconds":7,"custom_channel_vars":{"is_private":"true"},"is_private":false,"ringing_seconds":"soon",` +
		`"timestamp":63900000901,"timestamp_time":"2024-11-28T08:15:01Z"},"timestamp":63900000900,"timestamp_time":"2024-11-28T08:15:00Z","to":["a","b"]}`
	check(t, "data", string(appendObject(nil, e.Data)), want)
	m, _ := e.Payload.(*MissedCall)
	if m == nil || len(m.To) != 2 || len(e.Problems) != 0 {
		t.Errorf("payload %+v, problems %q", m, e.Problems)
	}
}

func TestReadableTimesOverwriteNothing(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"timestamp=63900000900&timestamp_time=mine": `{"call_id":"c","hook_event":"channel_create","timestamp":63900000900,"timestamp_time":"mine"}`,
		"timestamp=1764345600":                      `{"call_id":"c","hook_event":"channel_create","timestamp":1764345600}`,
		"timestamp=soon":                            `{"call_id":"c","hook_event":"channel_create","timestamp":"soon"}`,
		"timestamp=":                                `{"call_id":"c","hook_event":"channel_create","timestamp":""}`,
		"timestamp=999999999999":                    `{"call_id":"c","hook_event":"channel_create","timestamp":999999999999}`,
	} {
		e := Decode(Route(form("channel_create", "hook_event=channel_create&call_id=c&"+body)))
		check(t, body, string(appendObject(nil, e.Data)), want)
	}
}

// TestTimesOfNoTable: a time is readable whatever its name. An id or a telephone number
// is none.
func TestTimesOfNoTable(t *testing.T) {
	t.Parallel()
	e := Decode(Route(form("notifications", "event_category=notification&event_name=missed_call&notify[missed][at]=63900000800&transfer_date=63900000900&callback=63900000900&format=63900000900")))
	check(t, "form", string(appendObject(nil, e.Data)), `{"callback":"63900000900","event_category":"notification","event_name":"missed_call","format":"63900000900",`+
		`"notify":{"missed":{"at":63900000800,"at_time":"2024-11-28T08:13:20Z"}},"transfer_date":"63900000900","transfer_date_time":"2024-11-28T08:15:00Z"}`)
	r := form("notifications", `{"event_category":"notification","event_name":"missed_call","answered":63900000800,"number":"63281234567","size":62900000000,"huge":66300000000}`)
	r.ContentType = "application/json"
	e = Decode(Route(r))
	check(t, "JSON", string(appendObject(nil, e.Data)), `{"answered":63900000800,"answered_time":"2024-11-28T08:13:20Z","event_category":"notification","event_name":"missed_call",`+
		`"huge":66300000000,"number":"63281234567","size":62900000000}`)
}
