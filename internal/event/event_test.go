package event

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldenEvents has at least one event of every family and of every version of Kazoo.
func goldenEvents(t *testing.T) []Event {
	t.Helper()
	var events []Event
	for _, name := range []string{
		"k4m_object_user_doc_deleted", "k5_object_user_doc_created", "k43_object_user_doc_deleted_custom_data_nested",
		"k5_object_callflow_doc_created_include_fields_array", "k5_object_account_doc_deleted_hijacked_v2_form",
		"k5_object_user_doc_created_v2_hmac_json", "k5_object_user_doc_created_v2_hmac_form",
		"k43_channel_answer_form", "k5_channel_destroy_json", "k5_channel_create_v2_form", "k43_parking_parked_json",
		"k5_parking_parked_form", "k5_parking_retrieved_v2_json", "k4m_notification_new_user", "k4m_notification_password_recovery",
		"k5_notification_voicemail_new_json", "k5_notification_voicemail_new_v2_hmac_json", "k4m_notification_voicemail_full",
		"k4m_notification_inbound_fax", "k5_notification_inbound_fax_error", "k5_notification_outbound_fax",
		"k43_notification_outbound_smtp_fax_error", "k5_notification_missed_call", "k4m_notification_port_comment",
		"k5_notification_port_request_json", "k5_notification_ported", "k4m_notification_new_account",
		"k4m_notification_transaction", "k4m_notification_topup", "k5_notification_low_balance", "k4m_notification_bill_reminder",
		"k5_notification_service_added_json", "k5_notification_register", "k43_notification_deregister",
		"k43_notification_first_occurrence", "k4m_notification_cnam_request", "k4m_notification_system_alert",
		"k4m_notification_customer_update_utf8_key", "k43_notification_webhook_disabled_get",
		"k4m_sms_inbound_form", "k5_sms_inbound_json", "k4m_mms_inbound_form", "k5_cdr_v1_form", "k5_cdr_v2_form",
		"k5_stream_start_v1_json", "k5_stream_start_v2_form", "k5_synthetic_booleans_form", "k4m_synthetic_controls_json",
	} {
		r := Route(vectorNamed(t, name).delivery(t))
		r.Seq, r.ID = int64(len(events)+1), "01JEXAMPLE0000000000000000"
		events = append(events, Decode(r))
	}
	broken := Route(jsonBody("object", `{"id":`))
	broken.Seq, broken.ID = int64(len(events)+1), "01JEXAMPLE0000000000000000"
	broken.ReceivedAt = time.Date(2025, 3, 4, 6, 6, 7, 0, time.FixedZone("CET", 3600))
	misfit := Route(form("channel_destroy", "hook_event=channel_destroy&call_id=c&timestamp=soon&duration_seconds=1.5&is_internal_leg=&account_id=a"))
	misfit.Seq, misfit.ID = broken.Seq+1, broken.ID
	inferred := Route(Request{Source: SourceResync, Hook: "object", Method: "POST", ContentType: "application/json", ReceivedAt: broken.ReceivedAt,
		Body: []byte(`{"id":"u1","account_id":"a1","action":"doc_deleted","type":"user","object_name":"Ann Lee","username":"ann","email":"ann@x"}`)})
	inferred.Seq, inferred.ID = misfit.Seq+1, broken.ID
	return append(events, Decode(broken), Decode(misfit), Decode(inferred))
}

func TestLogLines(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	for _, e := range goldenEvents(t) {
		var line bytes.Buffer
		log := zerolog.New(&line)
		log.Info().EmbedObject(e).Msg(e.Message())
		if !json.Valid(line.Bytes()) {
			t.Errorf("not JSON: %s", line.Bytes())
		}
		got.Write(line.Bytes())
	}
	compareGolden(t, "testdata/lines.golden", got.Bytes())
}

func compareGolden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i, line := range gotLines {
		if i >= len(wantLines) || line != wantLines[i] {
			t.Fatalf("%s: line %d differs (-update rewrites it)\ngot  %s", file, i+1, line)
		}
	}
	if len(gotLines) != len(wantLines) {
		t.Fatalf("%s: %d lines, want %d", file, len(gotLines), len(wantLines))
	}
}

func TestFieldsComeInOrder(t *testing.T) {
	t.Parallel()
	e := Decode(Route(form("object", "id=u1&account_id=a1&action=doc_deleted&type=user&cluster_id=c1&name=Ann&x=1&a=1&a=2")))
	e.ID, e.Seq = "01J", 7
	e.ReceivedAt = time.Date(2025, 1, 2, 3, 4, 5, 60, time.UTC)
	const want = `prefix {"event":"user.deleted","event_id":"01J","seq":7,"source":"webhook","received_at":"2025-01-02T03:04:05.00000006Z",` +
		`"account_id":"a1","hook":"object","hook_id":"h1","cluster_id":"c1","action":"doc_deleted","object_type":"user","object_id":"u1",` +
		`"object_name":"Ann","data":{"a":["1","2"],"name":"Ann","x":"1"},"decode_error":"the key \"a\" has several values"}`
	if got := string(e.AppendJSON([]byte("prefix "))); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	const empty = `{"event":"","event_id":"","seq":0,"source":"","received_at":"0001-01-01T00:00:00Z"}`
	if got := string(Event{}.AppendJSON(nil)); got != empty {
		t.Errorf("got %s", got)
	}
}

func TestLinesAreDeterministic(t *testing.T) {
	t.Parallel()
	d := form("channel_create", "hook_event=channel_create&Call_ID=x&CALL_ID=y&call_id=c1&timestamp=a&duration_seconds=b&ringing_seconds=c&billing_seconds=d&q[z]=1&q[y]=2&q[x]=3&k=1&k=2&l=1&l=2")
	first := Decode(Route(d))
	for range 50 {
		again := Decode(Route(d))
		if a, b := string(first.AppendJSON(nil)), string(again.AppendJSON(nil)); a != b {
			t.Fatalf("%s\n%s", a, b)
		}
		if *again.Payload.(*Channel).CallID != "c1" {
			t.Fatal("the field's own spelling does not win")
		}
	}
}

func TestRenderingOfWhatCallersPutIn(t *testing.T) {
	t.Parallel()
	e := Event{Data: map[string]any{"n": 1, "f": 1.5, "bad": func() {}, "text": "a\x00\xff\u2028\"\\\n\r\t\x7f", "nil": nil}}
	line := e.AppendJSON(nil)
	const want = `"data":{"bad":null,"f":1.5,"n":1,"nil":null,"text":"a\u0000\ufffd` + "\u2028" + `\"\\\n\r\t` + "\x7f" + `"}`
	if !json.Valid(line) || !strings.Contains(string(line), want) {
		t.Errorf("got %s", line)
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"id=u1&action=doc_deleted&type=user":               "user deleted",
		"id=u1&action=doc_edited&type=call_recording":      "call recording edited",
		"hook_event=channel_create&call_id=c":              "call created",
		"hook_event=channel_answer&call_id=c":              "call answered",
		"hook_event=channel_bridge&call_id=c":              "call bridged",
		"hook_event=channel_destroy&call_id=c":             "call ended",
		"hook_event=channel_hold&call_id=c":                "call held",
		"hook_event=channel_unhold&call_id=c":              "call resumed",
		"hook_event=channel_disconnected&call_id=c":        "call: disconnected",
		"event_name=PARK_PARKED":                           "call parked",
		"event_name=PARK_RETRIEVED":                        "call retrieved from parking",
		"event_name=PARK_ABANDONED":                        "call abandoned in parking",
		"event_category=notification&event_name=x_request": "notification: x_request",
		"type=sms&from=a&to=b":                             "SMS",
		"type=mms&from=a&to=b":                             "MMS",
		"hook_event=cdr":                                   "call detail record",
		"event_name=stream_start":                          "stream started",
		"event_name=stream_stop":                           "stream stopped",
		"event_name=stream_pause":                          "stream pause",
		"what":                                             "request not understood",
	}
	for kind, want := range map[string]string{
		"new_user": "user created (notification)", "new_account": "account created (notification)",
		"password_recovery": "password recovery asked for", "voicemail_new": "voicemail received",
		"voicemail_saved": "voicemail saved", "voicemail_full": "voicemail box full", "inbound_fax": "fax received",
		"outbound_fax": "fax sent", "inbound_fax_error": "fax not received", "outbound_smtp_fax_error": "fax not sent",
		"missed_call": "call missed", "register": "device registered", "deregister": "device deregistered",
		"low_balance": "balance low", "ported": "number ported", "webhook_disabled": "webhook disabled by Kazoo",
	} {
		tests["event_category=notification&event_name="+kind] = want
	}
	for body, want := range tests {
		if got := Decode(Route(form("", body))).Message(); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}
