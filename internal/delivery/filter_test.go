package delivery

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/event"
)

// received returns the event of a body, as the engine gets it.
func received(t testing.TB, contentType, body string) *event.Event {
	t.Helper()
	r := event.Route(event.Request{
		Source: event.SourceWebhook, ReceivedAt: time.Date(2026, 5, 6, 7, 8, 9, 123456000, time.UTC), Hook: "object",
		HookID: "2f5d3e1c9b8a47768594a3b2c1d0e0f1", Method: "POST", ContentType: contentType, Body: []byte(body),
	})
	r.Seq, r.ID = 42, "01ARZ3NDEKTSV4RRFFQ69G5FAV"
	e := event.Decode(r)
	e.Journal = "k3v9x2m7"
	return &e
}

const formType, jsonType = "application/x-www-form-urlencoded", "application/json"

const deletedUser = "id=5f1e2d3c4b5a69788796a5b4c3d2e1f0&account_id=c0ffee00aa11bb22cc33dd44ee55ff66&action=doc_deleted&type=user"

// compiled compiles settings. It adds the name and, without a type, HTTP and a URL.
func compiled(t testing.TB, s Settings) *Destination {
	t.Helper()
	s.Name = "billing"
	if s.Type == "" {
		s.Type, s.HTTP = TypeHTTP, &HTTPSettings{URL: "http://127.0.0.1:1/kazoo"}
	}
	d, problems := Compile(s)
	for _, p := range problems {
		t.Errorf("%s: %v", p.Place, p.Err)
	}
	if len(problems) > 0 {
		t.FailNow()
	}
	return d
}

func TestEventsSelect(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		patterns []string
		takes    string
		leaves   string
	}{
		"default":        {nil, "user.deleted channel.create qubicle_queue unknown", "kazoohook.dead_letter kazoohook.ping"},
		"star":           {[]string{"*"}, "user.deleted unknown", "kazoohook.dead_letter"},
		"star in sight":  {[]string{"*.dead_letter", "?azoohook.*", "k*"}, "kazoo.x", "kazoohook.dead_letter"},
		"own":            {[]string{"kazoohook.*"}, "kazoohook.dead_letter", "user.deleted kazoohook"},
		"own one":        {[]string{"kazoohook.dead_letter"}, "kazoohook.dead_letter", "kazoohook.paused"},
		"both":           {[]string{"*", "kazoohook.*"}, "user.deleted kazoohook.dead_letter", ""},
		"several":        {[]string{"user.deleted", "channel.*"}, "user.deleted channel.create", "user.created cdr"},
		"question mark":  {[]string{"?ms"}, "sms mms", "sms.x"},
		"no prefix hits": {[]string{"user.delete"}, "", "user.deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &Destination{Settings: Settings{Events: test.patterns}}
			for _, n := range strings.Fields(test.takes) {
				if !d.selects(n) {
					t.Errorf("%s is left", n)
				}
			}
			for _, n := range strings.Fields(test.leaves) {
				if d.selects(n) {
					t.Errorf("%s is taken", n)
				}
			}
		})
	}
}

func TestUnverifiedEventsAreLeft(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		signature  event.Signature
		unverified bool
		want       bool
	}{
		"unsigned": {event.Unsigned, false, true}, "right": {event.SignedRight, false, true},
		"wrong": {event.SignedWrong, false, false}, "wrong, but wanted": {event.SignedWrong, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := received(t, formType, deletedUser)
			e.Signature = test.signature
			got, err := compiled(t, Settings{Unverified: test.unverified}).Matches(e)
			if err != nil || got != test.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

const callBody = `{"hook_event":"channel_destroy","account_id":"c0ffee00aa11bb22cc33dd44ee55ff66","call_id":"a@b","timestamp":63900000123,` +
	`"duration_seconds":61,"ratio":0.5,"big":123456789012345678901234567890,"flag":true,"nothing":null,"caller_id_number":"+15551234567",` +
	`"custom_channel_vars":{"owner_id":"5f1e"},"tags":["a","b","c"],"items":[{"n":1},{"n":2},{"n":3}]}`

func TestWhere(t *testing.T) {
	t.Parallel()
	for where, want := range map[string]any{
		`event == "channel.destroy"`:                                                           true,
		`event startsWith "user."`:                                                             false,
		`object_type == "user"`:                                                                false, // absent: nil
		`object_type == nil && object_name == nil`:                                             true,
		`seq == 42 && seq in 40..50`:                                                           true,
		`received_at startsWith "2026-05-06T"`:                                                 true,
		`account_id in ["x", "c0ffee00aa11bb22cc33dd44ee55ff66"]`:                              true,
		`data.duration_seconds > 60`:                                                           true,
		`data.duration_seconds + 1 == 62`:                                                      true,
		`data.ratio < 0.6 and data.flag`:                                                       true,
		`data.nothing == nil`:                                                                  true,
		`data.caller_id_number matches "^\\+1555"`:                                             true,
		`data["caller_id_number"] contains "9999"`:                                             false,
		`data.custom_channel_vars?.owner_id == "5f1e"`:                                         true,
		`(data.other?.owner_id ?? "none") == "none"`:                                           true,
		`any(data.tags, # == "b") and none(data.tags, # == "z")`:                               true,
		`all(data.items, .n > 0) && count(data.items, .n > 1) == 2`:                            true,
		`len(data.items) == 3 && sum(data.items, .n) == 6`:                                     true,
		`"b" in data.tags`:                                                                     true,
		`lower("ABC") == "abc" && join(data.tags, "-") == "a-b-c" && join(data.tags) == "abc"`: true,
		`replace("aXbX", "X", "--") == "a--b--" && replace("aXbX", "X", "", 1) == "abX" && repeat("ab", 3) == "ababab"`: true,
		`data.tags | map(upper(#)) | join(",") | hasPrefix("A,B")`:                                                      true,
		`let n = len(data.tags); n > 2 ? true : false`:                                                                  true,
		`sort(data.tags, "desc")[0] == "c" && uniq(["a","a"]) == ["a"]`:                                                 true,
		`string(data.custom_channel_vars) contains "5f1e" and toJSON(data.tags) contains "\"a\""`:                       true,
		`date(received_at).Year() == 2026`:                                                                              true,
		`duration("1h").Minutes() == 60`:                                                                                true,
		`not (event matches "user|device")`:                                                                             true,

		`data.missing.deeper == 1`:           "cannot fetch deeper",
		`data.missing > 1`:                   "invalid operation",
		`data.caller_id_number`:              "the result is not true or false: it is string",
		`data.missing`:                       "there is no result: it is nil",
		`data.big > 1`:                       "invalid operation",
		`all(data.nothing, # == 1)`:          "reflect",
		`date(data.caller_id_number) == nil`: "invalid date",
		`repeat("x", -1) == ""`:              "repeat wants a positive number, not -1",
		`join(data.items) == ""`:             "join wants a text, not map[string]interface {}",
		`replace(data.flag, "a", "b") == ""`: "replace wants a text, not bool",
		`1..2000000 == nil`:                  "memory budget exceeded",
	} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			f, err := newFilter(where)
			if err != nil {
				t.Fatal(err)
			}
			fields, err := fieldsOf(received(t, jsonType, callBody))
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.match(fields)
			if text, fails := want.(string); fails {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("got %v, error %v, want one of %q", got, err, text)
				}
			} else if err != nil || got != want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// TestWhereThatCannotBeUsed lists the errors that are found at the start.
func TestWhereThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for where, want := range map[string]string{
		`object_typ == "user"`:       "unknown name object_typ",
		`object_type = "user"`:       "unexpected token Operator(\"=\")",
		`"user"`:                     "expected bool, but got string",
		`len(data)`:                  "expected bool, but got int",
		`event matches "("`:          "missing closing )",
		`event matches data.pattern`: "the right side of matches must be a text in quotes",
		`event matches "` + strings.Repeat("a{1000}", 11) + `"`: "instructions is larger than 10000",
		`unheard(event)`: "unknown name unheard",
		`event == "` + strings.Repeat("x", maxWhere) + `"`: "are more than 65536",
		strings.Repeat("event == 'x' or ", 400) + "true":   "exceeds maximum allowed nodes",
	} {
		t.Run(cut(where, 40), func(t *testing.T) {
			t.Parallel()
			_, err := newFilter(where)
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

// TestWhereThatFailsMatches: a mistake in a filter loses no event.
func TestWhereThatFailsMatches(t *testing.T) {
	t.Parallel()
	d := compiled(t, Settings{Where: "data.duration_seconds > 100"})
	if len(d.Warnings) != 1 || !strings.HasPrefix(d.Warnings[0], "where: it fails for user.created, ") {
		t.Errorf("warnings %q", d.Warnings)
	}
	if ok, err := d.Matches(received(t, formType, deletedUser)); !ok || err == nil || !strings.HasPrefix(err.Error(), "where fails, so the event matches: ") {
		t.Errorf("got %v, %v", ok, err)
	}
	if ok, err := d.Matches(received(t, jsonType, callBody)); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}

// TestEventFieldsAreThoseOfTheSchema: eventFields has every field of an event.
func TestEventFieldsAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	for _, r := range event.Samples() {
		e := event.Decode(r)
		e.Journal, e.Truncated, e.ClusterID, e.Signature, e.Problems = "j", true, "c", event.SignedRight, []string{"p"}
		var fields map[string]any
		if err := json.Unmarshal(e.AppendJSON(nil), &fields); err != nil {
			t.Fatal(err)
		}
		for name := range fields {
			if !slices.Contains(eventFields, name) {
				t.Errorf("%s has the field %s, which expressions don't know", e.Event, name)
			}
		}
	}
}

// TestFieldsAreThoseOfTheJSON: fieldsOf, which doesn't encode data, gives the same as
// decoding the event's JSON.
func TestFieldsAreThoseOfTheJSON(t *testing.T) {
	t.Parallel()
	events := []*event.Event{received(t, jsonType, callBody), received(t, jsonType, hostileBody(1<<12)), received(t, formType, "action=doc_edited&id=%ff%00&type=us%c3er&x=%ed%a0%80")}
	for _, r := range event.Samples() {
		e := event.Decode(r)
		events = append(events, &e)
	}
	for _, e := range events {
		got, err := fieldsOf(e)
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]any
		in := json.NewDecoder(strings.NewReader(string(e.AppendJSON(nil))))
		in.UseNumber()
		if err := in.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(plain(want), any(got)) { // cmp.Diff takes too long for a deep list
			t.Errorf("%s: got %.500v, want %.500v", e.Event, got, want)
		}
	}
}

// BenchmarkWhere evaluates each hostile expression on an event of 1 MiB; the slowest
// must end within 50 ms.
func BenchmarkWhere(b *testing.B) {
	e := received(b, jsonType, hostileBody(1<<20))
	b.Run("fields", func(b *testing.B) {
		for b.Loop() {
			if _, err := fieldsOf(e); err != nil {
				b.Fatal(err)
			}
		}
	})
	fields, err := fieldsOf(e)
	if err != nil {
		b.Fatal(err)
	}
	for _, where := range append(hostile, `object_type == "user"`, `data.text matches "a.*c"`) {
		f, err := newFilter(where)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(cut(where, 100), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = f.match(fields) // most use up their budget
			}
		})
	}
}
