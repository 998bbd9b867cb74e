package fakekazoo

import "strconv"

// notifyLocked publishes a notification: its own fields, then those of every
// Kazoo message, all lower case
// (kazoo applications/webhooks/src/modules/webhooks_notifications.erl).
func (k *Kazoo) notifyLocked(acc *account, name string, fields *jobj) {
	k.emit(k.notification(acc, name, fields))
}

func (k *Kazoo) notification(acc *account, name string, fields *jobj) event {
	body := fields.clone()
	for _, f := range []jfield{
		{"account_id", acc.ID}, {"node", "kazoo_apps@apps1.example.org"}, {"msg_id", k.rand.hex(16)},
		{"event_name", name}, {"event_category", "notification"}, {"app_version", "4.0.0"}, {"app_name", "crossbar"},
	} {
		body.set(f.key, f.val)
	}
	return event{
		hook: "notifications", account: acc, body: body, notification: name,
		name: name, data: fields.clone().set("account_id", acc.ID),
	}
}

// within runs do with the lock held, for an account by name or id (empty: the
// login's).
func (k *Kazoo) within(accountID string, do func(*account)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	acc, err := k.accountOr(accountID)
	if err != nil {
		return err
	}
	do(acc)
	return nil
}

// Notify publishes a notification of any type with fields of its own.
func (k *Kazoo) Notify(accountID, name string, fields map[string]any) error {
	return k.within(accountID, func(acc *account) { k.notifyLocked(acc, name, jobjOf(fields)) })
}

// LeaveVoicemail publishes a voicemail_new notification.
func (k *Kazoo) LeaveVoicemail(accountID string) error {
	return k.within(accountID, func(acc *account) { k.notifyLocked(acc, "voicemail_new", k.voicemail(acc)) })
}

// MissCall publishes a missed_call notification.
func (k *Kazoo) MissCall(accountID string) error {
	return k.within(accountID, func(acc *account) { k.notifyLocked(acc, "missed_call", k.missedCall(acc)) })
}

// ReceiveFax publishes an inbound_fax notification, with nested and empty
// values and an array.
func (k *Kazoo) ReceiveFax(accountID string) error {
	return k.within(accountID, func(acc *account) { k.notifyLocked(acc, "inbound_fax", k.fax(acc)) })
}

// RecoverPassword publishes a password_recovery notification, which carries a
// secret link.
func (k *Kazoo) RecoverPassword(accountID string) error {
	return k.within(accountID, func(acc *account) {
		first, last := k.personName()
		k.notifyLocked(acc, "password_recovery", obj(
			"user_id", k.rand.hex(16), "timezone", "Europe/Madrid", "last_name", last, "first_name", first,
			"password_reset_link", "https://ui.example.org/#/?recovery="+k.rand.hex(16),
			"email", usernameOf(first, last, k.rand.hex(3))+"@"+acc.Realm))
	})
}

// SendText publishes an inbound text message.
func (k *Kazoo) SendText(accountID, text string) error {
	return k.within(accountID, func(acc *account) { k.emit(k.message(acc, "sms", text)) })
}

// SendPicture publishes an inbound multimedia message.
func (k *Kazoo) SendPicture(accountID, text string) error {
	return k.within(accountID, func(acc *account) { k.emit(k.message(acc, "mms", text)) })
}

// ParkCall parks a call in a slot and retrieves it, or leaves it to be
// abandoned.
func (k *Kazoo) ParkCall(accountID string, retrieved bool) error {
	return k.within(accountID, func(acc *account) {
		callID, from := k.callID(), k.number()
		k.emit(k.parking(acc, "PARK_PARKED", callID, from))
		if retrieved {
			k.emit(k.parking(acc, "PARK_RETRIEVED", callID, from))
		} else {
			k.emit(k.parking(acc, "PARK_ABANDONED", callID, from))
		}
	})
}

func (k *Kazoo) voicemail(acc *account) *jobj {
	first, last := k.personName()
	from := k.number()
	return obj(
		"voicemail_transcription", obj("result", "success", "text", "Hi, it's "+first+", call me back & thanks"),
		"voicemail_length", 1000+k.rand.intn(60_000), "caller_id_number", from, "caller_id_name", first+" "+last,
		"call_id", k.callID(), "voicemail_timestamp", k.clock.seconds(), "voicemail_id", k.modbID(),
		"voicemail_box", k.rand.hex(16), "to_user", k.extension(), "to_realm", acc.Realm,
		"from_user", from, "from_realm", acc.Realm)
}

func (k *Kazoo) missedCall(acc *account) *jobj {
	first, last := k.personName()
	from, to := k.number(), k.extension()
	return obj(
		"to_user", to, "to_realm", acc.Realm, "to", []any{"reception@" + acc.Realm}, "timestamp", k.clock.seconds(),
		"notify", obj("call_direction", "inbound", "billing_seconds", 7, "custom_application_vars", obj(),
			"event_name", "CHANNEL_DESTROY", "hangup_code", "sip:200", "to", to+"@"+acc.Realm),
		"from_user", from, "from_realm", acc.Realm, "caller_id_number", from, "caller_id_name", first+" "+last,
		"message_left", k.rand.chance(0.5), "call_id", k.callID(), "call_bridged", false)
}

func (k *Kazoo) fax(acc *account) *jobj {
	from, to := k.number(), k.number()
	return obj(
		"owner_id", k.rand.hex(16), "faxbox_id", k.rand.hex(16), "fax_timestamp", k.clock.seconds(),
		"fax_notifications", obj("email", obj("send_to", []any{"a@example.org", "b@example.org"}), "sms", obj()),
		"fax_info", obj("fax_success", true, "fax_ecm", false, "fax_bad_rows", 0, "fax_total_pages", 1+k.rand.intn(9),
			"fax_transfer_rate", 14400, "fax_result_text", "OK", "fax_remote_station_id", from, "fax_resolution", "204x196"),
		"caller_id_number", from, "caller_id_name", "Sender", "callee_id_number", to, "callee_id_name", "Fax",
		"call_id", k.callID(), "to_user", to, "to_realm", acc.Realm, "from_user", from, "from_realm", "pstn.example.net",
		"fax_id", k.modbID())
}

func (k *Kazoo) message(acc *account, typ, text string) event {
	return event{
		hook: typ, account: acc, name: typ,
		body: obj("id", k.rand.hex(8), "account_id", acc.ID, "type", typ, "from", k.number(), "to", k.number(),
			"body", text, "origin", "offnet", "charges", 0.0075),
	}
}

func (k *Kazoo) parking(acc *account, name, callID, from string) event {
	to := k.extension() + "@" + acc.Realm
	data := obj(
		"to", to, "timestamp", k.clock.seconds(), "switch_hostname", "fs1.example.org", "request", to,
		"presence_id", to, "parking_slot", strconv.Itoa(101+k.rand.intn(9)), "from", from+"@"+acc.Realm,
		"custom_application_vars", obj("crm_id", "42"), "channel_state", "ROUTING",
		"channel_name", "sofia/sipinterface_1/"+from+"@"+acc.Name, "caller_id_number", from, "caller_id_name", "Ann & Bob",
		"callee_id_number", to, "callee_id_name", "Réception", "call_direction", "inbound", "call_id", callID)
	body := data.clone().set("event_name", name).set("account_id", acc.ID)
	return event{hook: "parking", account: acc, body: body, name: name, data: data}
}

// modbID is an id in a database of one month.
func (k *Kazoo) modbID() string { return k.clock.now().UTC().Format("200601") + "-" + k.rand.hex(16) }

func (k *Kazoo) callID() string { return k.rand.hex(8) + "@10.0.0." + strconv.Itoa(1+k.rand.intn(250)) }

func (k *Kazoo) number() string { return "+1555" + strconv.Itoa(1_000_000+k.rand.intn(9_000_000)) }

func (k *Kazoo) extension() string { return strconv.Itoa(1000 + k.rand.intn(100)) }
