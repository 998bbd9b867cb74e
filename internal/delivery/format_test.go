package delivery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/rs/zerolog"

	"kazoohook/internal/event"
	"kazoohook/internal/event/eventtest"
)

// TestBodyIsTheLine compares the body with the event's log line, without the fields
// that only a line has.
func TestBodyIsTheLine(t *testing.T) {
	t.Parallel()
	d := compiled(t, Settings{})
	for _, r := range event.Samples() {
		t.Run(r.Event, func(t *testing.T) {
			t.Parallel()
			e := event.Decode(r)
			e.Journal = "k3v9x2m7"
			m, err := d.Message(&e)
			if err != nil {
				t.Fatal(err)
			}
			var line bytes.Buffer
			log := zerolog.New(&line)
			log.Info().Str(zerolog.TimestampFieldName, "2026-01-01T00:00:00Z").EmbedObject(e).Msg(e.Message())
			var got, want map[string]any
			if err := json.Unmarshal(m.Body, &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(line.Bytes(), &want); err != nil {
				t.Fatal(err)
			}
			for _, only := range []string{"level", "time", "message"} {
				delete(want, only)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("body %s\nline %s", m.Body, line.Bytes())
			}
			eventtest.Validate(t, m.Body)
			if m.ContentType != "application/json" || m.EventID != e.ID || m.Seq != e.Seq || m.Event != e.Event || m.Account != e.AccountID ||
				m.Object != e.ObjectID || m.Key != e.OrderingKey() {
				t.Errorf("message %+v", m)
			}
		})
	}
}

// TestBodyIsTheSameAtEachAttempt decodes the record again, as each attempt does.
func TestBodyIsTheSameAtEachAttempt(t *testing.T) {
	t.Parallel()
	record := received(t, formType, deletedUser+"&a[b]=1&a[c]=2&z=%FF&m=1&n=2&o=3").Record
	record.Known = event.Known{Name: "Ann Lee", Fields: map[string]string{"username": "ann", "email": "a@example.com", "x": "1"}}
	for name, s := range map[string]Settings{"json": {}, "cloudevents": {Format: FormatCloudEvents}, "template": {Body: `{{json .}}{{range $k, $v := .data}}{{$k}}{{end}}`}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := compiled(t, s)
			var first []byte
			for range 20 {
				e := event.Decode(record)
				m, err := d.Message(&e)
				if err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = m.Body
				}
				if !bytes.Equal(m.Body, first) {
					t.Fatalf("%s\n%s", first, m.Body)
				}
			}
			if !bytes.Contains(first, []byte(`"object_name":"Ann Lee"`)) {
				t.Errorf("no name in %s", first)
			}
		})
	}
}

// TestBodyIsNeverCut makes the message of an event of 1 MiB.
func TestBodyIsNeverCut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\u00e9", 1<<19-1000)
	m, err := compiled(t, Settings{}).Message(received(t, jsonType, `{"action":"doc_edited","type":"user","id":"u1","text":"`+long+`"}`))
	if err != nil || !bytes.Contains(m.Body, []byte(long)) || bytes.Contains(m.Body, []byte(`"truncated"`)) {
		t.Errorf("%d bytes, %v", len(m.Body), err)
	}
}

// TestCloudEvents validates each sample with the official library.
func TestCloudEvents(t *testing.T) {
	t.Parallel()
	d := compiled(t, Settings{Format: FormatCloudEvents})
	samples := event.Samples()
	hostile := received(t, jsonType, `{"action":"doc_edited","type":"us\u0001er","id":"a/\u0007b\uffffc\u0085","account_id":"x y/\u00e9%\u0002"}`)
	samples = append(samples, hostile.Record)
	for _, r := range samples {
		t.Run(r.Event, func(t *testing.T) {
			t.Parallel()
			e := event.Decode(r)
			m, err := d.Message(&e)
			if err != nil || m.ContentType != "application/cloudevents+json" {
				t.Fatalf("%+v, %v", m, err)
			}
			var ce cloudevents.Event
			if err := json.Unmarshal(m.Body, &ce); err != nil {
				t.Fatalf("%v: %s", err, m.Body)
			}
			if err := ce.Validate(); err != nil {
				t.Errorf("%v: %s", err, m.Body)
			}
			if ce.ID() != r.ID || ce.Type() != "kazoohook."+r.Event || !ce.Time().Equal(r.ReceivedAt) || ce.DataContentType() != "application/json" {
				t.Errorf("%s", ce)
			}
			if ce.Extensions()["sequence"] != fmt.Sprintf("%019d", r.Seq) {
				t.Errorf("sequence %v", ce.Extensions()["sequence"])
			}
			if key, ok := ce.Extensions()["partitionkey"]; ok != (m.Key != "") || ok && r.Seq != hostile.Seq && key != m.Key {
				t.Errorf("partitionkey %v of %q", key, m.Key)
			}
			var data, want map[string]any
			if err := ce.DataAs(&data); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(e.AppendJSON(nil), &want); err != nil || !reflect.DeepEqual(data, want) {
				t.Errorf("data %s, %v", ce.Data(), err)
			}
		})
	}
}

func TestCloudEventAttributes(t *testing.T) {
	t.Parallel()
	const account = "c0ffee00aa11bb22cc33dd44ee55ff66"
	for name, test := range map[string]struct {
		contentType, body, prefix   string
		typ, source, subject, order string
	}{
		"object": {formType, deletedUser, "", "kazoohook.user.deleted", "/kazoo/accounts/" + account,
			"user/5f1e2d3c4b5a69788796a5b4c3d2e1f0", "object/user/5f1e2d3c4b5a69788796a5b4c3d2e1f0"},
		"cluster": {formType, deletedUser + "&cluster_id=eu%201", "com.example.", "com.example.user.deleted", "/kazoo/clusters/eu%201/accounts/" + account,
			"user/5f1e2d3c4b5a69788796a5b4c3d2e1f0", "object/user/5f1e2d3c4b5a69788796a5b4c3d2e1f0"},
		"call":    {jsonType, callBody, "", "kazoohook.channel.destroy", "/kazoo/accounts/" + account, "call/a@b", "call/a@b"},
		"unknown": {formType, "what", "", "kazoohook.unknown", "/kazoo", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := compiled(t, Settings{Format: FormatCloudEvents, TypePrefix: test.prefix}).Message(received(t, test.contentType, test.body))
			if err != nil {
				t.Fatal(err)
			}
			var got envelope
			if err := json.Unmarshal(m.Body, &got); err != nil {
				t.Fatal(err)
			}
			got.Data = nil
			want := envelope{SpecVersion: "1.0", ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Source: test.source, Type: test.typ, Subject: test.subject,
				Time: "2026-05-06T07:08:09.123456Z", DataContentType: "application/json", Sequence: "0000000000000000042", PartitionKey: test.order}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
		})
	}
}

// TestFieldsForRouting checks the fields from which keys and subjects are made.
func TestFieldsForRouting(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Settings{
		"amqp": {Type: TypeAMQP, AMQP: &AMQPSettings{URL: "amqp://localhost"}},
		"nats": {Type: TypeNATS, NATS: &NATSSettings{URL: "nats://localhost"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := compiled(t, s).Message(received(t, formType, deletedUser))
			if err != nil || m.Fields["event"] != "user.deleted" || m.Fields["seq"] != 42 {
				t.Errorf("%+v, %v", m, err)
			}
		})
	}
}

func BenchmarkMessage(b *testing.B) {
	for name, s := range map[string]Settings{"json": {}, "cloudevents": {Format: FormatCloudEvents}, "template": {Body: `{"text": {{json .event}}}`}} {
		d := compiled(b, s)
		e := received(b, formType, deletedUser)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for start := time.Now(); b.Loop(); {
				m, err := d.Message(e)
				if err != nil || m.At.After(start) {
					b.Fatal(err)
				}
			}
		})
	}
}
