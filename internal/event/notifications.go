package event

var notices = &family{
	name: "notification", title: "Notifications",
	about: "Everything that Kazoo sends mails about, and more. Any field may be a list. Fields that the tables below don't list are in the data as Kazoo sent them.",
	hooks: []string{"notifications", "notification"},
	how:   "`event_category` `notification` and `event_name`",
	// The publisher of a message chooses its id and may repeat it (kazoo 4.3
	// core/kazoo_amqp/src/api/kz_api.erl only passes it on).
	identity: identity{facts: []fact{factMsgID}, required: 1, body: true},
	order:    byAccount,
	payload:  Notification{},
	kinds: []kind{
		notice("account_zone_change", "", "An account's home zone is to change.", Account{}, `"zones":{"home":"us-east"}`),
		notice("bill_reminder", "", "Money is due soon. Its `items` reach a form as objects on Kazoo 5 only.", Account{},
			`"due_date":63905000000,"items":[{"category":"users","quantity":2,"rate":10}],"timestamp":63900001300`),
		notice("cf_notification", "", "A callflow sent a message of its own.", MissedCall{},
			`"call_id":"a1b2c3d4@10.0.0.7","to":["boss@example.org"],"notification_media":"email","comments":"Call back","timestamp":63900000900`),
		notice("cnam_request", "", "A number should show another name.", CNAMRequest{},
			`"number":"+15551230000","number_state":"in_service","local_number":false,"cnam":{"display_name":"Acme","inbound_lookup":true}`),
		notice("customer_update", "", "A message to an account's people.", nil, `"user_type":"all_users","databag":{"field":"value"}`),
		notice("denied_emergency_bridge", "", "An emergency call failed.", nil, `"call_id":"a1b2c3d4@10.0.0.7","emergency_caller_id_number":"+15551230000"`),
		notice("deregister", "device deregistered", "A device's registration ran out.", Registration{}, sampleDevice+`,"status":"Registered(UDP)"`),
		notice("first_occurrence", "", "An account's first registration or call.", Registration{}, `"occurrence":"call"`),
		notice("inbound_fax", "fax received", "A fax was received.", Fax{}, sampleFax+`,"fax_info":{"fax_success":true,"fax_total_pages":"2"}`),
		notice("inbound_fax_error", "fax not received", "A fax could not be received.", Fax{}, sampleFax+`,"fax_error":"unknown error"`),
		notice("low_balance", "balance low", "An account's money runs out.", Account{}, `"current_balance":340000`),
		notice("missed_call", "call missed", "A call was missed. The media server's data is under `notify`.", MissedCall{},
			`"call_id":"a1b2c3d4@10.0.0.7","to":["boss@example.org"],"call_bridged":false,"message_left":true,"notify":{"billing_seconds":7,"hangup_cause":"NORMAL_CLEARING"},"timestamp":63900000900`),
		notice("new_account", "account created (notification)", "An account was created. Kazoo sends its API key, which is masked.", Account{},
			`"account_name":"Acme","account_realm":"acme.sip.example.org","account_api_key":"key"`),
		notice("new_user", "user created (notification)", "A user was created. Kazoo sends the password in clear text; it is masked.", NewUser{},
			`"user_id":"5f1e2d3c4b5a69788796a5b4c3d2e1f0","password":"secret"`),
		notice("outbound_fax", "fax sent", "A fax was sent.", Fax{}, sampleFax+`,"fax_jobid":"201905-9bf2","fax_info":{"fax_success":true,"fax_transfer_rate":"9600"}`),
		notice("outbound_fax_error", "fax not sent", "A fax could not be sent.", Fax{}, sampleFax+`,"fax_jobid":"201905-9bf2","fax_error":"busy"`),
		notice("outbound_smtp_fax_error", "fax not sent", "A mail could not become a fax.", Fax{}, `"fax_from_email":"a@example.org","errors":["number not found"],"timestamp":63900000700`),
		notice("password_recovery", "password recovery asked for", "Somebody asked for a new password. The link in it is masked.", PasswordRecovery{},
			`"user_id":"5f1e2d3c4b5a69788796a5b4c3d2e1f0","email":"jose@example.org","password_reset_link":"https://example.org/reset"`),
		notice("port_cancel", "", "A port request was cancelled.", Port{}, samplePort+`,"reason":{"content":"Not needed","timestamp":63900000920}`),
		notice("port_comment", "", "Somebody commented on a port request.", Port{}, samplePort+`,"comment":{"content":"Please sign","is_private":true,"timestamp":63900000910}`),
		notice("port_pending", "", "A port request was handed to the carrier.", Port{}, samplePort),
		notice("port_rejected", "", "A port request was rejected.", Port{}, samplePort),
		notice("port_request", "", "Numbers are to be ported.", Port{}, samplePort+`,"port":{"name":"Main numbers","scheduled_date":63905000000}`),
		notice("port_scheduled", "", "The numbers have a date.", Port{}, samplePort),
		notice("port_unconfirmed", "", "A port request was made, but not submitted.", Port{}, samplePort),
		notice("ported", "number ported", "Numbers were ported.", Port{}, samplePort),
		notice("register", "device registered", "A device registered that was not registered.", Registration{}, sampleDevice),
		notice("service_added", "", "What an account pays for changed.", Account{}, `"items":[{"category":"devices","quantity":3}],"timestamp":63900001200`),
		notice("system_alert", "", "Something is wrong with Kazoo.", SystemAlert{}, `"subject":"disk 91% full","message":"on /var","line":12`),
		notice("topup", "", "Money was added.", Account{}, `"amount":20.5,"success":true,"timestamp":63900001000`),
		notice("transaction", "", "A payment was made.", Account{}, `"id":"tx_1","amount":20.5,"tax_amount":0,"currency_code":"USD","success":true,"timestamp":63900001000`),
		notice("voicemail_deleted", "", "A message was deleted.", Voicemail{}, sampleVoicemail),
		notice("voicemail_full", "voicemail box full", "A message did not fit into its box.", VoicemailFull{}, `"voicemail_box":"b0cb0cb0cb0cb0cb0cb0cb0cb0cb0cb0","message_count":100,"max_message_count":100`),
		notice("voicemail_new", "voicemail received", "A message was left.", Voicemail{}, sampleVoicemail+`,"voicemail_transcription":{"result":"success","text":"Call me"}`),
		notice("voicemail_saved", "voicemail saved", "A message was saved.", Voicemail{}, sampleVoicemail),
		notice("webhook", "", "A callflow's webhook action was reached.", nil, `"hook":{"uri":"https://example.org/","retries":1},"timestamp":63900001400`),
		notice("webhook_disabled", "webhook disabled by Kazoo", "A hook failed too often and was switched off.", HookDisabled{}, `"hook_id":"0a1b2c3d4e5f60718293a4b5c6d7e8f9"`),
		notice("voicemail_*", "", "Further kinds about voicemail.", Voicemail{}, sampleVoicemail),
		notice("port_*", "", "Further kinds about porting.", Port{}, samplePort),
		notice("*_fax", "", "Further kinds about faxes.", Fax{}, sampleFax),
		notice("*_fax_error", "", "Further kinds about faxes.", Fax{}, sampleFax),
		notice("*", "", "Further kinds, named as Kazoo names them.", nil, `"anything":"else"`),
	},
}

const (
	sampleDevice    = `"username":"user_x1","realm":"acme.sip.example.org","network_ip":"192.0.2.10","network_port":"5060","expires":3600,"event_timestamp":63900001100`
	sampleFax       = `"fax_id":"201905-3513","faxbox_id":"7adf6ba4f1294427a3db19a8be1a771e","call_id":"a1b2c3d4@10.0.0.7","fax_timestamp":63900000600`
	samplePort      = `"port_request_id":"90a790a790a790a790a790a790a790a7","number":["+15551230000"],"number_state":"port_in","local_number":false`
	sampleVoicemail = `"voicemail_box":"b0cb0cb0cb0cb0cb0cb0cb0cb0cb0cb0","voicemail_id":"201905-6e09","voicemail_length":4580,"voicemail_timestamp":63900000500,"call_id":"a1b2c3d4@10.0.0.7"`
)

// notice returns the row of a kind of notification. Rare kinds have no sentence of
// their own. fields are the sample's fields that only this kind has.
func notice(name, message, about string, payload any, fields string) kind {
	if message == "" {
		message = "notification: {}"
	}
	return kind{name: name, message: message, about: about, payload: payload, hook: "notifications",
		sample: `{"event_category":"notification","event_name":"` + sampleName(name) + `","account_id":"c0ffee00aa11bb22cc33dd44ee55ff66",` +
			`"app_name":"crossbar","msg_id":"b0a3f1e2d4c5968778695a4b3c2d1e0f",` + fields + "}"}
}
