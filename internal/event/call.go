package event

// Channel is the payload of channel.create, .answer, .bridge, .destroy and of the
// further channel events of version 5
// (kazoo 4.3 applications/webhooks/src/webhooks_channel_util.erl).
type Channel struct {
	Call                  `json:"-"`
	HookEvent             *string  `json:"hook_event"`                   // channel_create, ...; absent in version 2
	AuthorizingID         *string  `json:"authorizing_id"`               // the device that was authorized
	AuthorizingType       *string  `json:"authorizing_type"`             // "device", ...
	OwnerID               *string  `json:"owner_id"`                     // the user who owns it
	ResellerID            *string  `json:"reseller_id"`                  // the account's reseller
	OtherLegCallID        *string  `json:"other_leg_call_id"`            // the call at the other end
	OtherLegDestination   *string  `json:"other_leg_destination_number"` // the number it called
	OriginalNumber        *string  `json:"original_number"`              // the number before it was rewritten
	Inception             *string  `json:"inception"`                    // where the call came into the system
	IsInternalLeg         *Boolean `json:"is_internal_leg"`              // a leg that only connects parts of the system
	CallForwarded         *Boolean `json:"call_forwarded"`               // the call was forwarded
	EmergencyResourceUsed *Boolean `json:"emergency_resource_used"`      // it went out through an emergency resource
	LocalResourceUsed     *Boolean `json:"local_resource_used"`          // it went out through a resource of the account
	LocalResourceID       *string  `json:"local_resource_id"`            // that resource

	// At the end of a call.
	HangupCause     *string  `json:"hangup_cause"`     // NORMAL_CLEARING, ...
	HangupCode      *string  `json:"hangup_code"`      // sip:200, ...
	DurationSeconds *Integer `json:"duration_seconds"` // from creation to the end
	RingingSeconds  *Integer `json:"ringing_seconds"`  // from creation to the answer
	BillingSeconds  *Integer `json:"billing_seconds"`  // from the answer to the end
}

// Call holds the fields of every event of a call.
type Call struct {
	CallID         *string      `json:"call_id"`             // Kazoo's id of this leg
	Timestamp      *Gregorian   `json:"timestamp"`           // when it happened
	Direction      *string      `json:"call_direction"`      // inbound or outbound, as the switch sees it
	Request        *string      `json:"request"`             // requested user@realm
	To             *string      `json:"to"`                  // user@realm called
	From           *string      `json:"from"`                // user@realm calling
	CallerIDName   *string      `json:"caller_id_name"`      // the caller's name
	CallerIDNumber *string      `json:"caller_id_number"`    // the caller's number; parking may spell it caller_id_Number
	CalleeIDName   *string      `json:"callee_id_name"`      // the callee's name
	CalleeIDNumber *string      `json:"callee_id_number"`    // the callee's number
	SwitchHostname *string      `json:"switch_hostname"`     // the media server
	PresenceID     *string      `json:"presence_id"`         // user@realm whose presence the call shows
	ChannelName    *string      `json:"channel_name"`        // the media server's name of the channel
	ChannelState   *string      `json:"channel_state"`       // the media server's state of the channel
	Vars           *ChannelVars `json:"custom_channel_vars"` // variables that Kazoo sets itself
}

// ChannelVars are the custom_channel_vars that Kazoo sets itself, in the spelling
// of version 5. Version 4 writes Owner-ID for owner_id: such keys are in the data
// unchanged. All values are text, also in JSON.
type ChannelVars struct {
	AccountID         *string `json:"account_id"`          // the account
	OwnerID           *string `json:"owner_id"`            // the user who owns the device
	AuthorizingID     *string `json:"authorizing_id"`      // the device that was authorized
	AuthorizingType   *string `json:"authorizing_type"`    // "device", ...
	FetchID           *string `json:"fetch_id"`            // Kazoo's id of the routing request
	BridgeID          *string `json:"bridge_id"`           // the call it is bridged to
	Realm             *string `json:"realm"`               // the account's SIP domain
	GlobalResource    *string `json:"global_resource"`     // "true" or "false", as text
	ResourceID        *string `json:"resource_id"`         // the carrier used
	CallInteractionID *string `json:"call_interaction_id"` // the same for all legs of one conversation
}

// Parking is the payload of parking.parked, .retrieved and .abandoned
// (kazoo 4.3 applications/webhooks/src/modules/webhooks_parking.erl).
type Parking struct {
	Call        `json:"-"`
	EventName   *string `json:"event_name"`   // PARK_PARKED, PARK_RETRIEVED or PARK_ABANDONED; absent in version 2
	ParkingSlot *Amount `json:"parking_slot"` // where the call is parked: a number in JSON, text in a form
}

// CDR is the payload of cdr, a call detail record (version 5).
type CDR struct {
	Channel `json:"-"`
}

// Stream is the payload of stream.start and stream.stop (version 5).
type Stream struct {
	EventName  *string    `json:"event_name"`  // stream_start or stream_stop; absent in version 2
	CallID     *string    `json:"call_id"`     // the call that is streamed
	StreamID   *string    `json:"stream_id"`   // the stream
	StreamName *string    `json:"stream_name"` // its display name
	Timestamp  *Gregorian `json:"timestamp"`   // when it happened
}

// TextMessage is the payload of sms and mms
// (kazoo 4.3 applications/webhooks/src/modules/webhooks_sms.erl).
type TextMessage struct {
	ID      *string `json:"id"`      // of the message
	Type    *string `json:"type"`    // sms or mms
	From    *string `json:"from"`    // who sent it
	To      *string `json:"to"`      // the recipient
	Body    *string `json:"body"`    // the text
	Origin  *string `json:"origin"`  // onnet or offnet
	Charges *Amount `json:"charges"` // what it costs: a number in JSON, text in a form
}
