package event

// Names lists the names of the events that Kazoo 4.3 and 5 are known to send, for
// labels and menus that must be bounded. Others exist: an object of a new type, a
// notification of a new kind are events, too
// (kazoo 4.3 applications/webhooks/src/modules/, core/kazoo_amqp/src/api/kapi_notifications.erl).
func Names() []string {
	names := []string{
		"channel.create", "channel.answer", "channel.bridge", "channel.destroy",
		"parking.parked", "parking.retrieved", "parking.abandoned",
		"sms", "mms", "cdr", "stream.start", "stream.stop", Unknown,
	}
	for _, typ := range []string{
		"account", "call_recording", "callflow", "device", "fax", "faxbox", "mailbox_message", "media", "user", "vmbox",
	} {
		for _, a := range []Action{Created, Edited, Deleted} {
			names = append(names, joinName(typ, a.verb()))
		}
	}
	for _, kind := range []string{
		"account_zone_change", "bill_reminder", "cnam_request", "customer_update", "denied_emergency_bridge", "deregister",
		"first_occurrence", "inbound_fax", "inbound_fax_error", "low_balance", "missed_call", "new_account", "new_user",
		"outbound_fax", "outbound_fax_error", "outbound_smtp_fax_error", "password_recovery", "port_cancel", "port_comment",
		"port_pending", "port_rejected", "port_request", "port_scheduled", "port_unconfirmed", "ported", "register",
		"service_added", "system_alert", "topup", "transaction", "voicemail_deleted", "voicemail_full", "voicemail_new",
		"voicemail_saved", "webhook_disabled",
	} {
		names = append(names, joinName("notification", kind))
	}
	return names
}
