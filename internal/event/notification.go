package event

import "strings"

// Notification is what all notifications have in common and, for kinds without a
// type of their own, the payload. Version 2 sends AccountID alone of these fields.
// The fields of all kinds are Kazoo's AMQP messages in lower case
// (kazoo 4.3 core/kazoo_amqp/src/api/kapi_notifications.erl).
type Notification struct {
	EventName     string `schema:"event_name"`     // the kind: new_user, voicemail_new, ...
	EventCategory string `schema:"event_category"` // "notification"
	AccountID     string `schema:"account_id"`
	ClusterID     string `schema:"cluster_id"`
	MsgID         string `schema:"msg_id"`
	AppName       string `schema:"app_name"`    // Kazoo's application that sent it
	AppVersion    string `schema:"app_version"` // that application's, not Kazoo's
	Node          string `schema:"node"`        // the Erlang node
	CustomType    string `schema:"type"`        // the hook's custom_data.type, which version 4.3 merges in
}

// notification is Event.payload for one kind of notification.
func notification(kind string) any {
	switch kind {
	case "new_user":
		return (*NewUser)(nil)
	case "password_recovery":
		return (*PasswordRecovery)(nil)
	case "missed_call":
		return (*MissedCall)(nil)
	case "voicemail_full":
		return (*VoicemailFull)(nil)
	case "ported":
		return (*Port)(nil)
	case "new_account", "account_zone_change", "low_balance", "topup", "transaction", "bill_reminder", "service_added":
		return (*Account)(nil)
	case "register", "deregister", "first_occurrence":
		return (*Registration)(nil)
	}
	switch {
	case strings.HasPrefix(kind, "voicemail_"):
		return (*Voicemail)(nil)
	case strings.HasPrefix(kind, "port_"):
		return (*Port)(nil)
	case strings.HasSuffix(kind, "_fax") || strings.HasSuffix(kind, "_fax_error"):
		return (*Fax)(nil)
	}
	return (*Notification)(nil)
}
