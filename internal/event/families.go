package event

// families is the table of event families: one row each. The order of the rows is
// the order in which names are looked up and documented. Adding a family is a row
// here, its struct, and a test; adding a kind of a family is a line.
var families = []*family{
	objects, channels, parkings, cdrs, streams, texts, notices, otherHooks, unknowns, owns,
}

var objects = &family{
	name: "*", title: "Objects",
	about: "Something in Kazoo's database was created, edited or deleted: `user.deleted`, `device.created`, ... Any type of " +
		"object makes such an event. Its id, type and action are fields of the event. Kazoo 4 sends nothing else; " +
		"`object_name` and other data of the object come from the snapshot.",
	hooks:    []string{"object", "doc"},
	how:      "`action` (`doc_created`, `doc_edited`, `doc_deleted`) and `id`",
	identity: identity{lifecycle: true},
	order:    byObject,
	payload:  Object{},
	kinds: []kind{
		{name: "created", message: "{} created", hook: "object", about: "The object is new.",
			sample: `id=5f1e2d3c4b5a69788796a5b4c3d2e1f0&account_id=c0ffee00aa11bb22cc33dd44ee55ff66&action=doc_created&type=user`},
		{name: "edited", message: "{} edited", hook: "object",
			about:  "The object was changed or restored. A hosted Kazoo's old hook `doc` says `doc_updated`.",
			sample: `id=5f1e2d3c4b5a69788796a5b4c3d2e1f0&account_id=c0ffee00aa11bb22cc33dd44ee55ff66&action=doc_edited&type=user`},
		{name: "deleted", message: "{} deleted", hook: "object",
			about:  "The object was deleted. Deleting an account deletes what is in it without events of its own.",
			sample: `id=5f1e2d3c4b5a69788796a5b4c3d2e1f0&account_id=c0ffee00aa11bb22cc33dd44ee55ff66&action=doc_deleted&type=user`},
	},
}

// objectTypes are the types of objects that Kazoo's object hook is known to offer.
func objectTypes() []string {
	return []string{"account", "call_recording", "callflow", "device", "fax", "faxbox", "mailbox_message", "media", "user", "vmbox"}
}

const sampleCall = `call_id=a1b2c3d4-e5f6%4010.0.0.7&account_id=c0ffee00aa11bb22cc33dd44ee55ff66&timestamp=63900000123` +
	`&call_direction=inbound&caller_id_number=%2B15551234567&callee_id_number=1001` +
	`&custom_channel_vars[owner_id]=5f1e2d3c4b5a69788796a5b4c3d2e1f0`

var channels = &family{
	name: "channel", title: "Calls",
	about:    "One leg of a call began, was answered, was connected to another leg, or ended. Version 5 has more.",
	hooks:    []string{"channel_*"},
	prefix:   "channel_",
	by:       factCallID,
	identity: identity{facts: []fact{factCallID, factTimestamp, factOtherLeg}, required: 2},
	order:    byCall,
	payload:  Channel{},
	kinds: []kind{
		{name: "create", message: "call created", about: "The leg began.", hook: "channel_create", sample: "hook_event=channel_create&" + sampleCall},
		{name: "answer", message: "call answered", about: "It was answered.", hook: "channel_answer", sample: "hook_event=channel_answer&" + sampleCall},
		{name: "bridge", message: "call bridged", about: "It was connected to another leg.", hook: "channel_bridge",
			sample: "hook_event=channel_bridge&" + sampleCall + "&other_leg_call_id=zz99%4010.0.0.8"},
		{name: "destroy", message: "call ended", about: "It ended.", hook: "channel_destroy",
			sample: "hook_event=channel_destroy&" + sampleCall + "&hangup_cause=NORMAL_CLEARING&duration_seconds=61&ringing_seconds=6&billing_seconds=55"},
		{name: "hold", message: "call held", about: "It was put on hold (version 5).", hook: "channel_hold", sample: "hook_event=CHANNEL_HOLD&" + sampleCall},
		{name: "unhold", message: "call resumed", about: "It was taken off hold (version 5).", hook: "channel_unhold", sample: "hook_event=CHANNEL_UNHOLD&" + sampleCall},
		{name: "*", message: "call: {}", about: "Further events of version 5, named after the hook.", hook: "channel_disconnected",
			sample: "hook_event=CHANNEL_DISCONNECTED&" + sampleCall},
	},
}

var parkings = &family{
	name: "parking", title: "Parked calls",
	about: "A call was parked, or left its parking slot.",
	hooks: []string{"parking"},
	names: [][2]string{
		{"park_parked", "parking.parked"}, {"park_retrieved", "parking.retrieved"}, {"park_abandoned", "parking.abandoned"},
	},
	by:       factCallID,
	identity: identity{facts: []fact{factCallID, factTimestamp, factOtherLeg}, required: 2},
	order:    byCall,
	payload:  Parking{},
	kinds: []kind{
		{name: "parked", message: "call parked", about: "It was parked.", hook: "parking", sample: "event_name=PARK_PARKED&parking_slot=101&" + sampleCall},
		{name: "retrieved", message: "call retrieved from parking", about: "A parked call was retrieved.", hook: "parking", sample: "event_name=PARK_RETRIEVED&parking_slot=101&" + sampleCall},
		{name: "abandoned", message: "call abandoned in parking", about: "The caller hung up.", hook: "parking", sample: "event_name=PARK_ABANDONED&parking_slot=101&" + sampleCall},
	},
}

var cdrs = &family{
	name: "cdr", title: "Call detail records",
	about:    "The billing data of a leg of a call (version 5).",
	hooks:    []string{"cdr"},
	names:    [][2]string{{"cdr", "cdr"}},
	by:       factCallID,
	identity: identity{facts: []fact{factCallID, factTimestamp, factOtherLeg}, required: 2},
	order:    byCall,
	payload:  CDR{},
	kinds: []kind{
		{name: "cdr", message: "call detail record", about: "The leg ended.", hook: "cdr", sample: "hook_event=cdr&" + sampleCall + "&billing_seconds=55"},
	},
}

const sampleStream = `{"event_name":"stream_start","account_id":"c0ffee00aa11bb22cc33dd44ee55ff66","call_id":"st-1@10.0.0.7",` +
	`"stream_id":"57e4a157e4a157e4a157e4a157e4a100","stream_name":"agent assist","timestamp":63962778464}`

var streams = &family{
	name: "stream", title: "Audio streams",
	about:    "The audio of a call is streamed somewhere (version 5).",
	hooks:    []string{"stream"},
	prefix:   "stream_",
	by:       factStreamID,
	identity: identity{facts: []fact{factStreamID, factTimestamp, noFact}, required: 2},
	order:    byCall,
	payload:  Stream{},
	kinds: []kind{
		{name: "start", message: "stream started", about: "It began.", hook: "stream", sample: sampleStream},
		{name: "stop", message: "stream stopped", about: "It ended.", hook: "stream", sample: `{"event_name":"stream_stop",` + sampleStream[len(`{"event_name":"stream_start",`):]},
		{name: "*", message: "stream {}", about: "Any other event of a stream.", hook: "stream",
			sample: `{"event_name":"stream_pause",` + sampleStream[len(`{"event_name":"stream_start",`):]},
	},
}

var texts = &family{
	name: "message", title: "Text messages",
	about:    "An SMS or MMS went through.",
	hooks:    []string{"sms", "mms"},
	names:    [][2]string{{"sms", "sms"}, {"mms", "mms"}},
	by:       factFrom,
	how:      "the path `sms` or `mms` with `from` and `to`, or their `type`",
	object:   factID,
	identity: identity{facts: []fact{factID}, required: 1, body: true},
	order:    byMessage,
	payload:  TextMessage{},
	kinds: []kind{
		{name: "sms", message: "SMS", about: "A text.", hook: "sms",
			sample: "id=9a8b7c6d&account_id=c0ffee00aa11bb22cc33dd44ee55ff66&from=%2B15551234567&to=%2B15557654321&body=Hi+Jos%C3%A9%21&origin=onnet"},
		{name: "mms", message: "MMS", about: "A text with media.", hook: "mms",
			sample: "id=9a8b7c6e&account_id=c0ffee00aa11bb22cc33dd44ee55ff66&from=%2B15551234567&to=%2B15557654321&body=See+this&origin=offnet"},
	},
}

// otherHooks are the hooks of applications that Kazoo's public code doesn't have.
var otherHooks = &family{
	name: "*", title: "Other hooks",
	about: "Other applications bring hooks of their own. Their event has the hook's name. Its data is as Kazoo sent it: typed " +
		"in JSON, text in a form.",
	how:   "`hook_event`, or the path, where nothing else names an event",
	order: byAccount,
	kinds: []kind{
		{name: "*", message: "{} event", hook: "qubicle_queue",
			about:  "A request with an `X-Hook-ID` whose path is a hook's name and whose body names no event of another family.",
			sample: `{"queue_id":"4b1d5a1d0c6a4fd39a6f2f4a2c1be0f3","change":"member_joined","waiting":3}`},
	},
}

var unknowns = &family{
	name: Unknown, title: "What is not understood",
	about: "A request that names no event is kept and answered like any other. Its line has the level `warn`.",
	how:   "nothing else",
	kinds: []kind{
		{name: Unknown, message: "request not understood", hook: "object", sample: "what is this",
			about: "An empty or broken body, or one that names nothing. `decode_error` says why."},
	},
}

// owns are the events of the receiver itself. No request is routed to them.
var owns = &family{
	name: ownFamily, title: "The receiver's own events",
	about: "What happened to the receiver itself, for alerts without Prometheus. Such an event has a number, an id and a line " +
		"like any other, and the source `receiver`. A destination gets it only if its `events` name it, as in `kazoohook.*`: the default and `*` " +
		"leave it out. Queries leave nothing out: `kazoohook events --event '*'` shows it. A delivery of such an event makes no further one.",
	how: "nothing that comes from outside: only the receiver writes it",
	kinds: []kind{
		{name: "hook_disabled", message: "a hook was switched off in Kazoo", payload: HookSwitchedOff{},
			about: "One of our hooks was found switched off. It is enabled again. Once for each time it was switched off.",
			sample: `{"event":"kazoohook.hook_disabled","account_id":"c0ffee00aa11bb22cc33dd44ee55ff66","hook":"object","hook_name":"kazoohook object user doc_deleted",` +
				`"hook_id":"0a1b2c3d4e5f60718293a4b5c6d7e8f9","disable_reason":"too many failed attempts","last_failure":"connection refused"}`},
		{name: "confirmation_needed", message: "deletions wait for confirmation", payload: ConfirmationNeeded{},
			about: "More objects are missing in Kazoo than are reported without confirmation. Once until they are confirmed or back.",
			sample: `{"event":"kazoohook.confirmation_needed","account_id":"c0ffee00aa11bb22cc33dd44ee55ff66","object_type":"user",` +
				`"missing":180,"known":200,"limit":20}`},
		{name: "dead_letter", message: "an event could not be delivered", payload: DeadLetter{},
			about: "A delivery became a dead letter. `account_id` is the undelivered event's; it is absent if that event can no longer be read.",
			sample: `{"event":"kazoohook.dead_letter","account_id":"c0ffee00aa11bb22cc33dd44ee55ff66","destination":"billing","of_event":"user.deleted",` +
				`"of_event_id":"01JGK2X5ZC0000000000000000","of_seq":42,"object_id":"5f1e2d3c4b5a69788796a5b4c3d2e1f0","attempts":12,` +
				`"last_error":"400 Bad Request","reason":"every attempt of its schedule failed"}`},
		{name: "outage", message: "an outage of hooks has ended", payload: Outage{},
			about: "For a time, hooks may not have fired. Written once they fire again; what was missed is looked for.",
			sample: `{"event":"kazoohook.outage","account_id":"c0ffee00aa11bb22cc33dd44ee55ff66","from":"2026-01-02T03:04:05Z","to":"2026-01-02T03:09:05Z",` +
				`"at_most_seconds":300,"hooks":["kazoohook object user doc_deleted"],"reasons":["the receiver was not running"]}`},
	},
}
