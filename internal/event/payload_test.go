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

// of returns a pointer's value, or the zero value if the field wasn't sent.
func of[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

func to[T any](v T) *T { return &v }

func TestChannelPayloadIsTheSameInAllFormats(t *testing.T) {
	t.Parallel()
	want := *payload[Channel](t, "k5_channel_create_json")
	if of(want.CallID) != "a1b2c3d4-e5f6@10.0.0.7" || of(want.Timestamp) != 63900000123 || !of(want.LocalResourceUsed) ||
		of(want.CallerIDName) != `José "Pepe" Núñez` || of(want.OwnerID) != "5f1e2d3c4b5a69788796a5b4c3d2e1f0" ||
		want.IsInternalLeg == nil || *want.IsInternalLeg || want.HangupCause != nil {
		t.Errorf("got %+v", want)
	}
	check(t, "form", *payload[Channel](t, "k5_channel_create_get"), want)
	v2 := payload[Channel](t, "k5_channel_create_v2_hmac_json")
	if of(v2.CallID) != of(want.CallID) || of(v2.Timestamp) != of(want.Timestamp) || of(v2.Vars.AccountID) != testAccount ||
		of(v2.Vars.GlobalResource) != "false" {
		t.Errorf("version 2: %+v", v2)
	}
	check(t, "version 2, form", payload[Channel](t, "k5_channel_create_v2_form"), v2)
	end := payload[Channel](t, "k43_channel_destroy_form")
	if of(end.HangupCause) != "NORMAL_CLEARING" || of(end.HangupCode) != "sip:200" || of(end.DurationSeconds) != 61 || of(end.BillingSeconds) != 55 {
		t.Errorf("got %+v", end)
	}
}

func TestObjectPayload(t *testing.T) {
	t.Parallel()
	const id = "5f1e2d3c4b5a69788796a5b4c3d2e1f0"
	check(t, "version 4", *payload[Object](t, "k4m_object_user_doc_deleted"), Object{})
	want := Object{
		Rev: to("1-fedcba9876543210fedcba9876543210"), SoftDeleted: to(Boolean(false)),
		Database: to("account%2Fc0%2Fff%2Fee00aa11bb22cc33dd44ee55ff66"), Created: to(Gregorian(63899999999)), Modified: to(Gregorian(63899990000)),
		Document: &Document{ID: to(id), FirstName: to("José"), LastName: to("Núñez & Söhne"), Username: to("jose.nunez@example.org"),
			Email: to("jose.nunez@example.org"), PrivLevel: to("user"), Enabled: to(Boolean(true))},
		Metadata: &Metadata{ID: to(id), Created: to(Gregorian(63899990000)), Modified: to(Gregorian(63899999999))},
	}
	for _, name := range []string{"k5_object_user_doc_created_v2_hmac_json", "k5_object_user_doc_created_v2_hmac_form"} {
		check(t, name, *payload[Object](t, name), want)
		e := Decode(Route(vectorNamed(t, name).delivery(t)))
		if of(e.Envelope.Name) != "doc_created" || of(e.Envelope.Timestamp) != 63962778458 || of(e.Envelope.HMAC) == "" {
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
	if string(of(u.Password)) != `p&=+%#; "'é` || of(u.UserID) == "" || of(u.MsgID) == "" || of(u.EventName) != "new_user" || of(u.AppName) != "crossbar" {
		t.Errorf("got %+v", u)
	}
	if s := fmt.Sprint(of(u.Password), " ") + fmt.Sprintf("%#v", of(u.Password)) + Secret("").String(); s != "*** ***" {
		t.Errorf("the password prints as %s", s)
	}
	if p := payload[PasswordRecovery](t, "k5_notification_password_recovery"); of(p.PasswordResetLink) == "" || of(p.Timezone) != "Europe/Madrid" {
		t.Errorf("got %+v", p)
	}
	v := payload[Voicemail](t, "k5_notification_voicemail_new_v2_hmac_json")
	if of(v.VoicemailLength) != 17250 || of(v.Transcription.Result) != "success" || of(v.ToUser) != "1001" || of(v.VoicemailTimestamp) != 63900000500 {
		t.Errorf("got %+v", v)
	}
	if f := payload[VoicemailFull](t, "k43_notification_voicemail_full"); of(f.MessageCount) != 100 || of(f.CustomType) != "voicemail_full" {
		t.Errorf("got %+v", f)
	}
	for _, name := range []string{"k4m_notification_inbound_fax", "k4m_notification_inbound_fax_json"} {
		f := payload[Fax](t, name)
		if i := f.Info; !of(i.Success) || of(i.TotalPages) != 3 || of(i.RemoteStationID) != "+1 555 000 1111" || of(f.FaxTimestamp) != 63900000600 {
			t.Errorf("%s: %+v", name, i)
		}
		check(t, name, f.Notifications.Email.SendTo, []string{"a@example.org", "b@example.org"})
	}
	check(t, "fax errors", payload[Fax](t, "k43_notification_outbound_smtp_fax_error").Errors, []string{"number not found", "mime type & size"})
	if m := payload[MissedCall](t, "k5_notification_missed_call"); !of(m.MessageLeft) || m.CallBridged == nil || of(m.CallerIDName) != "Ann O'Nym" {
		t.Errorf("got %+v", m)
	}
	if p := payload[Port](t, "k5_notification_port_comment"); of(p.Comment.Author) != "José" || of(p.Comment.Timestamp) != 63900000910 {
		t.Errorf("got %+v", p)
	}
	if p := payload[Port](t, "k5_notification_port_request_json"); of(p.Port.ScheduledDate) != 63905000000 || of(p.Port.Name) != "Port #1" {
		t.Errorf("got %+v", p)
	}
	if a := payload[Account](t, "k4m_notification_transaction"); of(a.Amount) != (Amount{Digits: "20.5"}) || !of(a.Success) || of(a.TransactionID) != "tx_1" {
		t.Errorf("got %+v", a)
	}
	if a := payload[Account](t, "k4m_notification_transaction_put_json"); of(a.Amount) != (Amount{Digits: "20.5", Number: true}) {
		t.Errorf("got %+v", of(a.Amount))
	}
	if a := payload[Account](t, "k4m_notification_new_account"); of(a.AccountName) != "Acme Branch #2" || of(a.AccountAPIKey) == "" {
		t.Errorf("got %+v", a)
	}
	if r := payload[Registration](t, "k43_notification_deregister"); of(r.NetworkPort) != 5060 || of(r.Status) != "Registered(UDP-NAT)" {
		t.Errorf("got %+v", r)
	}
	if n := payload[CNAMRequest](t, "k4m_notification_cnam_request"); of(n.EventName) != "cnam_request" {
		t.Errorf("got %+v", n)
	}
}

func TestOtherPayloads(t *testing.T) {
	t.Parallel()
	if p := payload[Parking](t, "k5_parking_retrieved_v2_json"); of(p.ParkingSlot).Digits != "101" || of(p.CallID) == "" || of(p.Vars.Realm) == "" {
		t.Errorf("got %+v", p)
	}
	if m := payload[TextMessage](t, "k4m_sms_inbound_form"); of(m.Body) != "Hi José! 50% off & more; call +1 555 😀 = now" || of(m.Charges).Digits != "0.0075" {
		t.Errorf("got %+v", m)
	}
	if c := payload[CDR](t, "k5_cdr_v2_form"); of(c.BillingSeconds) != 55 || of(c.Vars.FetchID) == "" || of(c.Direction) != "outbound" {
		t.Errorf("got %+v", c)
	}
	if s := payload[Stream](t, "k5_stream_start_v2_form"); of(s.StreamName) != "agent assist #1" || of(s.Timestamp) != 63962778464 {
		t.Errorf("got %+v", s)
	}
}

func TestGregorian(t *testing.T) {
	t.Parallel()
	check(t, "epoch", Gregorian(GregorianEpoch).Time(), time.Unix(0, 0).UTC())
	check(t, "an event", Gregorian(63962778458).Time().Format(time.RFC3339), "2026-11-24T22:27:38Z")
}
