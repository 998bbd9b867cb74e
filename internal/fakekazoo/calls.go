package fakekazoo

// Call is a phone call to place. Empty fields get random values.
type Call struct {
	AccountID string `json:"account"` // id or name
	From      string `json:"from"`
	To        string `json:"to"`
	// Unanswered calls have no answer and no bridge. The caller ends them.
	Unanswered bool `json:"unanswered"`
	// Internal calls are legs within the system (loopback), which hooks of
	// version 5 can leave out.
	Internal bool `json:"internal"`
}

// PlaceCall fires the events of a whole call: channel_create, channel_answer,
// channel_bridge and channel_destroy (and cdr on version 5). They are separate
// events, so they may arrive in any order. It returns the call's id.
func (k *Kazoo) PlaceCall(c Call) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	acc, err := k.accountOr(c.AccountID)
	if err != nil {
		return "", err
	}
	ch := k.channel(acc, c)
	k.emit(k.channelEvent(ch, "channel_create"))
	if !c.Unanswered {
		k.emit(k.channelEvent(ch, "channel_answer"))
		k.emit(k.channelEvent(ch, "channel_bridge"))
	}
	k.emit(k.channelEvent(ch, "channel_destroy"))
	if k.version == version5 {
		k.emit(k.channelEvent(ch, "cdr"))
	}
	return ch.id, nil
}

// channel is one leg of a call.
type channel struct {
	account                      *account
	id, other, device, owner     string
	from, to, caller, callee     string
	fetchID, bridgeID            string
	started                      int64
	unanswered, internal         bool
	duration, ringing, billed    int
	hangupCause, hangupCode, crm string
}

func (k *Kazoo) channel(acc *account, c Call) channel {
	first, last := k.personName()
	ch := channel{
		account: acc, id: k.callID(), other: k.callID(), device: k.rand.hex(16), owner: k.rand.hex(16),
		from: c.From, to: c.To, caller: first + " " + last, callee: "Réception",
		fetchID: k.rand.hex(16), bridgeID: k.rand.hex(4), started: k.clock.seconds(), unanswered: c.Unanswered, internal: c.Internal,
		ringing: 1 + k.rand.intn(20), hangupCause: "NORMAL_CLEARING", hangupCode: "sip:200", crm: k.rand.hex(2),
	}
	setDefault(&ch.from, k.number())
	setDefault(&ch.to, k.extension())
	if c.Unanswered {
		ch.hangupCause, ch.hangupCode = "ORIGINATOR_CANCEL", "sip:487"
	} else {
		ch.billed = 1 + k.rand.intn(600)
	}
	ch.duration = ch.ringing + ch.billed
	return ch
}

// channelEvent returns an event with the fields of Kazoo's channel hooks, in their
// order. The keys inside custom_channel_vars keep their own case
// (kazoo applications/webhooks/src/webhooks_channel_util.erl).
func (k *Kazoo) channelEvent(ch channel, name string) event {
	realm := ch.account.Realm
	body := obj(
		"account_id", ch.account.ID, "authorizing_id", ch.device, "authorizing_type", "device",
		"call_direction", "inbound", "call_id", ch.id, "callee_id_name", ch.callee, "callee_id_number", ch.to,
		"caller_id_name", ch.caller, "caller_id_number", ch.from)
	vars := obj("Authorizing-ID", ch.device, "Authorizing-Type", "device", "Owner-ID", ch.owner,
		"Fetch-ID", ch.fetchID, "Bridge-ID", ch.bridgeID, "Realm", realm, "Global-Resource", "false")
	apps := obj("crm_id", ch.crm, "Customer Name", "Ünïcode & Co", "tags", []any{"a", "b c"})
	if name != "cdr" {
		body.set("custom_channel_vars", vars).set("custom_application_vars", apps)
	}
	body.set("emergency_resource_used", false).set("from", ch.from+"@"+realm).set("local_resource_used", true)
	body.set("is_internal_leg", ch.internal)
	if name == "channel_answer" || name == "channel_bridge" {
		body.set("other_leg_call_id", ch.other)
	}
	body.set("owner_id", ch.owner).set("request", ch.to+"@"+realm)
	body.set("reseller_id", ch.account.reseller().ID)
	body.set("timestamp", ch.started).set("to", ch.to+"@"+realm).set("hook_event", name)
	switch name {
	case "channel_bridge":
		body.set("other_leg_destination_number", ch.to)
	case "channel_destroy":
		body.set("hangup_cause", ch.hangupCause).set("hangup_code", ch.hangupCode)
		body.set("duration_seconds", ch.duration).set("ringing_seconds", ch.ringing).set("billing_seconds", ch.billed)
	}
	return event{hook: name, account: ch.account, internalLeg: ch.internal, body: body, name: upperName(name), data: channelData(ch, body)}
}

// channelData is the data of version 2, where everything is lower case and the
// account is among the channel's variables.
func channelData(ch channel, body *jobj) *jobj {
	data := obj()
	for _, f := range body.fields {
		switch f.key {
		case "account_id", "hook_event", "custom_channel_vars", "authorizing_id", "authorizing_type", "owner_id", "reseller_id":
		default:
			data.set(f.key, f.val)
		}
	}
	data.set("switch_hostname", "fs1.example.org").set("channel_state", "ROUTING")
	return data.set("custom_channel_vars", obj(
		"account_id", ch.account.ID, "authorizing_id", ch.device, "authorizing_type", "device", "owner_id", ch.owner,
		"fetch_id", ch.fetchID, "bridge_id", ch.bridgeID, "realm", ch.account.Realm))
}

func upperName(name string) string {
	if name == "cdr" {
		return name
	}
	upper := []byte(name)
	for i, c := range upper {
		if c >= 'a' && c <= 'z' {
			upper[i] = c - 'a' + 'A'
		}
	}
	return string(upper)
}

// Stream fires stream_start and stream_stop; version 5 only.
func (k *Kazoo) Stream(accountID string) error {
	return k.within(accountID, func(acc *account) {
		data := obj("account_id", acc.ID, "call_id", k.callID(), "stream_id", k.rand.hex(16),
			"stream_name", "agent assist #1", "timestamp", k.clock.seconds())
		for _, name := range []string{"stream_start", "stream_stop"} {
			body := obj("event_name", name)
			for _, f := range data.fields {
				body.set(f.key, f.val)
			}
			k.emit(event{hook: "stream", account: acc, body: body, name: name, data: data, notification: name})
		}
	})
}

// sampleEvents returns the events that /webhooks/samples shows for a hook.
func (k *Kazoo) sampleEvents(hook string) []any {
	acc := &account{Account: Account{ID: "{ACCOUNT_ID}", Name: "acme", Realm: "acme.sip.example.org"}}
	switch hook {
	case "object":
		return []any{
			obj("id", "{USER_ID}", "account_id", acc.ID, "action", "doc_created", "type", "user"),
			obj("id", "{USER_ID}", "account_id", acc.ID, "action", "doc_deleted", "type", "user"),
		}
	case "channel_create", "channel_answer", "channel_bridge", "channel_destroy", "cdr":
		return []any{k.channelEvent(k.channel(acc, Call{}), hook).body}
	case "notifications":
		return k.notificationSamples(acc)
	case "parking":
		return []any{k.parking(acc, "PARK_PARKED", k.callID(), k.number()).body}
	case "sms", "mms":
		return []any{k.message(acc, hook, "Hello").body}
	case "stream":
		return []any{obj("event_name", "stream_start", "account_id", acc.ID, "call_id", "{CALL_ID}", "stream_id", "{STREAM_ID}")}
	default:
		return nil
	}
}
