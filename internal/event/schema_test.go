package event

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kazoohook/internal/event/eventtest"
)

// schemaOf is the JSON Schema of all events, made from the table.
func schemaOf(t *testing.T) []byte {
	t.Helper()
	docs := fieldDocs(t)
	defs := map[string]any{
		"text":    described("A text. Kazoo sends some as numbers, and a list where it has several.", "string", "number", "boolean", "array", "null"),
		"integer": described("A whole number, or a list of them.", "integer", "array", "null"),
		"boolean": described("True or false, or a list of them.", "boolean", "array", "null"),
		"time":    described("Gregorian seconds: Unix time + 62167219200. The same key with `_time` appended has it as RFC 3339.", "integer", "array", "null"),
		"amount":  described("A number where Kazoo sent JSON, else text. Kazoo 4.3's forms have wrong ones.", "number", "string", "array", "null"),
		"list":    described("A list of texts. Kazoo sends some as one text.", "array", "string", "number", "boolean", "object", "null"),
		"secret":  map[string]any{"description": "Masked.", "const": Masked},
	}
	var rules []any
	for _, f := range families {
		for i := range f.kinds {
			k := &f.kinds[i]
			payload := f.payloadOf(k)
			if payload == nil {
				continue
			}
			typ := reflect.TypeOf(payload)
			if defs[typ.Name()] == nil {
				p := planned.byType[typ]
				defs[typ.Name()] = map[string]any{"type": "object", "description": docs[typ.Name()][""], "properties": propertiesOf(p, p.root, docs)}
			}
			rules = append(rules, map[string]any{
				"if":   conditionOf(f, k),
				"then": map[string]any{"properties": map[string]any{"data": map[string]any{"$ref": "#/$defs/" + typ.Name()}}},
			})
		}
	}
	schema := map[string]any{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "An event",
		"description":          "As lines of the log (with level, time and message), API, stream and deliveries have it. Generated from the table of event families.",
		"type":                 "object",
		"required":             []string{"event", "event_id", "seq", "source", "received_at"},
		"additionalProperties": false,
		"properties":           eventProperties(),
		"$defs":                defs,
		"allOf":                rules,
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(schema); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func described(text string, types ...string) map[string]any {
	return map[string]any{"description": text, "type": types}
}

// eventProperties are the fields of every event, described as in the manual.
func eventProperties() map[string]any {
	properties := map[string]any{}
	for _, f := range eventFields() {
		p := maps.Clone(f.schema)
		p["description"] = f.meaning
		properties[f.name] = p
	}
	return properties
}

// conditionOf is the condition under which an event must fit a kind's schema. Events
// with decode_error or truncated are exempt: their data may have other types.
func conditionOf(f *family, k *kind) map[string]any {
	event := map[string]any{"const": f.event(k.name)}
	if strings.Contains(k.name, "*") {
		event = map[string]any{"pattern": "^" + f.name + `\.` + strings.ReplaceAll(k.name, "*", "[a-z0-9_.]+") + "$"}
	}
	required := []string{"event"}
	var not []any
	for _, name := range []string{"decode_error", "truncated"} {
		not = append(not, map[string]any{"required": []string{name}})
	}
	if f == objects {
		event = map[string]any{"pattern": `\.` + k.name + "$"}
		required = append(required, "action")
	} else {
		not = append(not, map[string]any{"required": []string{"action"}})
	}
	return map[string]any{
		"required":   required,
		"properties": map[string]any{"event": event},
		"not":        map[string]any{"anyOf": not},
	}
}

func propertiesOf(p *plan, fields map[string]*field, docs map[string]map[string]string) map[string]any {
	properties := map[string]any{}
	for key, f := range fields {
		meaning := docOf(p, f, docs)
		if f.kind == kindObject {
			properties[key] = map[string]any{
				"type": []string{"object", "string", "array", "null"}, "description": meaning, "properties": propertiesOf(p, f.fields, docs),
			}
			continue
		}
		properties[key] = map[string]any{"$ref": "#/$defs/" + kindNames()[f.kind], "description": meaning}
		if f.kind == kindTime {
			properties[key+timeSuffix] = map[string]any{"description": "The same as RFC 3339.", "format": "date-time"}
		}
	}
	return properties
}

func kindNames() map[valueKind]string {
	return map[valueKind]string{
		kindText: "text", kindInteger: "integer", kindBoolean: "boolean", kindTime: "time",
		kindAmount: "amount", kindSecret: "secret", kindList: "list", kindObject: "object",
	}
}

// docOf is the comment of a field.
func docOf(p *plan, f *field, docs map[string]map[string]string) string {
	typ := p.typ
	for _, i := range p.parts[f.part].index {
		if typ = typ.Field(i).Type; typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
	}
	return docs[typ.Name()][typ.Field(f.index).Name]
}

// everyEvent returns the events of all tests: vectors, published samples, golden
// lines and the table's own samples.
func everyEvent(t *testing.T) []Event {
	t.Helper()
	all := goldenEvents(t)
	for _, v := range sentVectors(t) {
		all = append(all, Decode(Route(v.delivery(t))))
	}
	eachSample(t, func(_ *testing.T, _ string, asJSON, asForm Event) { all = append(all, asJSON, asForm) })
	for _, f := range families {
		for i := range f.kinds {
			all = append(all, Decode(Route(f.kinds[i].request())))
		}
	}
	for _, d := range secretBodies() {
		all = append(all, Decode(Route(d)))
	}
	return all
}

// request is a kind's sample as Kazoo sends it.
func (k *kind) request() Request {
	if k.hook == "" {
		return Request{Source: SourceReceiver, ContentType: "application/json", Body: []byte(k.sample)}
	}
	if strings.HasPrefix(k.sample, "{") {
		return jsonBody(k.hook, k.sample)
	}
	return form(k.hook, k.sample)
}

func TestEveryEventIsWhatTheSchemaSays(t *testing.T) {
	t.Parallel()
	for _, e := range everyEvent(t) {
		e.ID, e.Seq, e.Journal, e.Signature = "01JEXAMPLE0000000000000000", 7, "k3j9x2ab", SignedRight
		eventtest.Validate(t, e.AppendJSON(nil))
		e.Shorten(MinSize)
		eventtest.Validate(t, e.AppendJSON(nil))
	}
}

func TestTheSchemaRefuses(t *testing.T) {
	t.Parallel()
	e := Decode(Route(form("channel_destroy", "hook_event=channel_destroy&call_id=c&timestamp=63900000000&billing_seconds=5&account_id=a")))
	e.ID, e.Seq = "01JEXAMPLE0000000000000000", 7
	good := string(e.AppendJSON(nil))
	eventtest.Validate(t, []byte(good))
	for name, change := range map[string][2]string{
		"no number":        {`"seq":7,`, ``},
		"a text as number": {`"seq":7`, `"seq":"7"`},
		"another source":   {`"source":"webhook"`, `"source":"hearsay"`},
		"an unknown field": {`"seq":7`, `"seq":7,"extra":1`},
		"no time":          {`"received_at":"0001`, `"received_at":"x`},
		"text for seconds": {`"billing_seconds":5`, `"billing_seconds":"5"`},
		"an object":        {`"call_id":"c"`, `"call_id":{"c":1}`},
		"data as text":     {`"data":{`, `"data":"","more":{`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good || eventtest.Check([]byte(bad)) == nil {
			t.Errorf("%s is taken: %s", name, bad)
		}
	}
}

// TestSamplesAreTheirKinds: each sample of the table is an event of its kind, with a
// message and without problems, except those of unknown events.
func TestSamplesAreTheirKinds(t *testing.T) {
	t.Parallel()
	for _, f := range families {
		for i := range f.kinds {
			k := &f.kinds[i]
			e := Decode(Route(k.request()))
			if familyOf(e.Event, e.Action) != f || f.kind(e.Event) != k || f != unknowns && len(e.Problems) > 0 || e.Message() == "" {
				t.Errorf("%s %s: the sample is %s, %q", f.name, k.name, e.Event, e.Problems)
			}
			if k.about == "" || f.about == "" || f.title == "" {
				t.Errorf("%s %s has no documentation", f.name, k.name)
			}
		}
	}
}

// TestNoTwoKeysAreOne: no two keys of a payload differ only in case, because
// gorilla/schema and encoding/json would confuse them.
func TestNoTwoKeysAreOne(t *testing.T) {
	t.Parallel()
	for typ, p := range planned.byType {
		for i := range p.parts {
			seen := map[string]string{}
			for key := range p.parts[i].fields {
				if other, taken := seen[strings.ToLower(key)]; taken {
					t.Errorf("%v: %s and %s", typ, key, other)
				}
				seen[strings.ToLower(key)] = key
			}
		}
	}
	for _, d := range []Request{
		form("channel_create", "hook_event=channel_create&Call_ID=x&CALL_ID=y&call_id=c1&caller_id_Number=1&caller_id_number=2&Timestamp=3"),
		jsonBody("channel_create", `{"hook_event":"channel_create","Call_ID":"x","CALL_ID":"y","call_id":"c1","caller_id_Number":"1","caller_id_number":"2","Timestamp":"3"}`),
	} {
		e := Decode(Route(d))
		const want = `{"CALL_ID":"y","Call_ID":"x","Timestamp":"3","call_id":"c1","caller_id_Number":"1","caller_id_number":"2","hook_event":"channel_create"}`
		if got := string(appendObject(nil, e.Data)); got != want || len(e.Problems) > 0 {
			t.Errorf("got %s, %q", got, e.Problems)
		}
		if c, _ := e.Payload.(*Channel); of(c.CallID) != "c1" || of(c.CallerIDNumber) != "2" || c.Timestamp != nil {
			t.Errorf("payload %+v", c)
		}
	}
}

func TestFactsHaveTheirKeys(t *testing.T) {
	t.Parallel()
	for n := noFact + 1; n < factCount; n++ {
		if factOf([]byte(factKeys[n])) != n {
			t.Errorf("the key %q is no fact", factKeys[n])
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
