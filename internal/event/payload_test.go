package event

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func payload[T any](t *testing.T, name string) *T {
	t.Helper()
	e := Decode(Route(vectorNamed(t, name).delivery(t)))
	p, ok := e.Payload.(*T)
	if !ok {
		t.Fatalf("%s: payload %T", name, e.Payload)
	}
	return p
}

func check[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: -want +got\n%s", what, diff)
	}
}

func TestChannelPayloadIsTheSameInAllFormats(t *testing.T) {
	t.Parallel()
	want := *payload[Channel](t, "k5_channel_create_json")
	if want.CallID != "a1b2c3d4-e5f6@10.0.0.7" || want.Timestamp != 63900000123 || !want.LocalResourceUsed ||
		want.CallerIDName != `José "Pepe" Núñez` || want.VarOwnerID != "5f1e2d3c4b5a69788796a5b4c3d2e1f0" ||
		want.VarGlobalResource != "false" || want.ApplicationVars["crm_id"] != "42" {
		t.Errorf("got %+v", want)
	}
	for _, name := range []string{"k5_channel_create_v2_form", "k5_channel_create_v2_hmac_json"} {
		got := payload[Channel](t, name)
		if got.CallID != want.CallID || got.Timestamp != want.Timestamp || got.VarAccountID != testAccount {
			t.Errorf("%s: %+v", name, got)
		}
		a, b := got.ChannelVars, want.ChannelVars
		a.VarAccountID, a.VarCallInteractionID = "", "" // version 2 only
		check(t, name, a, b)
	}
	end := payload[Channel](t, "k43_channel_destroy_form")
	if end.HangupCause != "NORMAL_CLEARING" || end.HangupCode != "sip:200" || end.DurationSeconds != 61 || end.BillingSeconds != 55 {
		t.Errorf("got %+v", end)
	}
}

func TestObjectPayload(t *testing.T) {
	t.Parallel()
	const id, cluster = "5f1e2d3c4b5a69788796a5b4c3d2e1f0", "a1b2c3d4e5f60718293a4b5c6d7e8f90"
	check(t, "version 4", *payload[Object](t, "k4m_object_user_doc_deleted"),
		Object{ID: id, AccountID: testAccount, Action: "doc_deleted", Type: "user", ClusterID: cluster})
	want := Object{
		ID: id, AccountID: testAccount, Type: "user", Rev: "1-fedcba9876543210fedcba9876543210",
		Database: "account%2Fc0%2Fff%2Fee00aa11bb22cc33dd44ee55ff66", Created: 63899999999, Modified: 63899990000,
		Document: Document{ID: id, FirstName: "José", LastName: "Núñez & Söhne", Username: "jose.nunez@example.org",
			Email: "jose.nunez@example.org", PrivLevel: "user", Enabled: true},
		Metadata: Metadata{ID: id, Created: 63899990000, Modified: 63899999999},
	}
	for _, name := range []string{"k5_object_user_doc_created_v2_hmac_json", "k5_object_user_doc_created_v2_hmac_form"} {
		check(t, name, *payload[Object](t, name), want)
		e := Decode(Route(vectorNamed(t, name).delivery(t)))
		if e.Envelope.Name != "doc_created" || e.Envelope.Timestamp != 63962778458 || e.Envelope.HMAC == "" {
			t.Errorf("%s: envelope %+v", name, e.Envelope)
		}
		if e.ObjectName != "José Núñez & Söhne" {
			t.Errorf("%s: object name %q", name, e.ObjectName)
		}
	}
}

func TestObjectName(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]string{
		"":                                   "",
		"object_name=A&name=B":               "A",
		"name=B&username=u":                  "B",
		"first_name=Ann":                     "Ann",
		"last_name=Lee&username=u":           "Lee",
		"first_name=Ann&last_name=Lee":       "Ann Lee",
		"username=u&email=e":                 "u",
		"email=e":                            "e",
		"doc[name]=D&name=N":                 "D",
		"doc[first_name]=A&doc[last_name]=B": "A B",
		"name=1&name=2":                      "",
	} {
		e := Decode(Route(form("object", "id=u1&action=doc_deleted&type=user&"+fields)))
		if e.ObjectName != want {
			t.Errorf("%s: %q, want %q", fields, e.ObjectName, want)
		}
	}
}

func TestNotificationPayloads(t *testing.T) {
	t.Parallel()
	u := payload[NewUser](t, "k4m_notification_new_user")
	if string(u.Password) != `p&=+%#; "'é` || u.UserID == "" || u.MsgID == "" || u.EventName != "new_user" || u.AppName != "crossbar" {
		t.Errorf("got %+v", u)
	}
	if s := fmt.Sprint(u.Password, " ") + fmt.Sprintf("%#v", u.Password) + Secret("").String(); s != "*** ***" {
		t.Errorf("the password prints as %s", s)
	}
	if p := payload[PasswordRecovery](t, "k5_notification_password_recovery"); p.PasswordResetLink == "" || p.Timezone != "Europe/Madrid" {
		t.Errorf("got %+v", p)
	}
	v := payload[Voicemail](t, "k5_notification_voicemail_new_v2_hmac_json")
	if v.VoicemailLength != 17250 || v.TranscriptionResult != "success" || v.ToUser != "1001" || v.VoicemailTimestamp != 63900000500 {
		t.Errorf("got %+v", v)
	}
	if f := payload[VoicemailFull](t, "k43_notification_voicemail_full"); f.MessageCount != 100 || f.CustomType != "voicemail_full" {
		t.Errorf("got %+v", f)
	}
	for _, name := range []string{"k4m_notification_inbound_fax", "k4m_notification_inbound_fax_json"} {
		f := payload[Fax](t, name)
		if !f.Success || f.TotalPages != 3 || f.RemoteStationID != "+1 555 000 1111" || f.FaxTimestamp != 63900000600 {
			t.Errorf("%s: %+v", name, f)
		}
		check(t, name, f.SendTo, []string{"a@example.org", "b@example.org"})
	}
	check(t, "fax errors", payload[Fax](t, "k43_notification_outbound_smtp_fax_error").Errors, []string{"number not found", "mime type & size"})
	m := payload[MissedCall](t, "k5_notification_missed_call")
	if !m.MessageLeft || m.CallBridged || m.CallerIDName != "Ann O'Nym" {
		t.Errorf("got %+v", m)
	}
	check(t, "recipients", m.Recipients, []string{"boss@example.org", "José <jose@example.org>"})
	if p := payload[Port](t, "k5_notification_port_comment"); p.CommentAuthor != "José" || p.CommentTimestamp != 63900000910 {
		t.Errorf("got %+v", p)
	}
	if p := payload[Port](t, "k5_notification_port_request_json"); p.ScheduledDate != 63905000000 || p.PortName != "Port #1" {
		t.Errorf("got %+v", p)
	}
	if a := payload[Account](t, "k4m_notification_transaction"); a.Amount != "20.5" || !a.Success || a.TransactionID != "tx_1" {
		t.Errorf("got %+v", a)
	}
	if a := payload[Account](t, "k4m_notification_new_account"); a.AccountName != "Acme Branch #2" || a.AccountAPIKey == "" {
		t.Errorf("got %+v", a)
	}
	if r := payload[Registration](t, "k43_notification_deregister"); r.NetworkPort != 5060 || r.Status != "Registered(UDP-NAT)" {
		t.Errorf("got %+v", r)
	}
	if n := payload[Notification](t, "k4m_notification_cnam_request"); n.EventName != "cnam_request" {
		t.Errorf("got %+v", n)
	}
}

func TestOtherPayloads(t *testing.T) {
	t.Parallel()
	if p := payload[Parking](t, "k5_parking_retrieved_v2_json"); p.ParkingSlot != "101" || p.CallID == "" || p.VarRealm == "" {
		t.Errorf("got %+v", p)
	}
	p, _ := Decode(Route(form("parking", "event_name=PARK_PARKED&call_id=c&caller_id_Number=%2B1"))).Payload.(*Parking)
	if p == nil || p.CallerIDNumber != "+1" {
		t.Errorf("got %+v", p)
	}
	if m := payload[TextMessage](t, "k4m_sms_inbound_form"); m.Body != "Hi José! 50% off & more; call +1 555 😀 = now" || m.Charges != "0.0075" {
		t.Errorf("got %+v", m)
	}
	if c := payload[CDR](t, "k5_cdr_v2_form"); c.BillingSeconds != 55 || c.VarFetchID == "" || c.Direction != "outbound" {
		t.Errorf("got %+v", c)
	}
	if s := payload[Stream](t, "k5_stream_start_v2_form"); s.StreamName != "agent assist #1" || s.Timestamp != 63962778464 {
		t.Errorf("got %+v", s)
	}
}

// Every tag of every type must be a key that the decoder finds.
func TestEveryFieldCanBeFilled(t *testing.T) {
	t.Parallel()
	for typ, sh := range types.byType {
		for key, f := range sh.fields {
			if len(key) > maxFieldKey/2 || f.name != key {
				t.Errorf("%v: key %q", typ, key)
			}
			if folded := string(appendFolded(nil, key)); folded != key {
				t.Errorf("%v: the tag %q is not as keys are spelt", typ, key)
			}
		}
	}
}

func TestGregorian(t *testing.T) {
	t.Parallel()
	check(t, "epoch", Gregorian(GregorianEpoch).Time(), time.Unix(0, 0).UTC())
	check(t, "absent", Gregorian(0).Time(), time.Time{})
	check(t, "an event", Gregorian(63962778458).Time().Format(time.RFC3339), "2026-11-24T22:27:38Z")
}
