package event

// Channel is the payload of channel.create, .answer, .bridge, .destroy and of the
// further channel events of version 5
// (kazoo 4.3 applications/webhooks/src/webhooks_channel_util.erl).
type Channel struct {
	Call                  `schema:"-"`
	HookEvent             string `schema:"hook_event"` // channel_create, ...; absent in version 2
	ClusterID             string `schema:"cluster_id"`
	AuthorizingID         string `schema:"authorizing_id"`   // the device that was authorized
	AuthorizingType       string `schema:"authorizing_type"` // "device", ...
	OwnerID               string `schema:"owner_id"`         // the user who owns it
	ResellerID            string `schema:"reseller_id"`
	OtherLegCallID        string `schema:"other_leg_call_id"`
	OtherLegDestination   string `schema:"other_leg_destination_number"`
	IsInternalLeg         bool   `schema:"is_internal_leg"`
	EmergencyResourceUsed bool   `schema:"emergency_resource_used"`
	LocalResourceUsed     bool   `schema:"local_resource_used"`
	LocalResourceID       string `schema:"local_resource_id"`

	// At the end of a call.
	HangupCause     string `schema:"hangup_cause"`     // NORMAL_CLEARING, ...
	HangupCode      string `schema:"hangup_code"`      // sip:200, ...
	DurationSeconds int64  `schema:"duration_seconds"` // from creation to the end
	RingingSeconds  int64  `schema:"ringing_seconds"`
	BillingSeconds  int64  `schema:"billing_seconds"` // from the answer to the end
}

// Call is what every event of a call tells of it.
type Call struct {
	AccountID      string    `schema:"account_id"`
	CallID         string    `schema:"call_id"`
	Timestamp      Gregorian `schema:"timestamp"`
	Direction      string    `schema:"call_direction"` // inbound or outbound, as the switch sees it
	Request        string    `schema:"request"`        // user@realm that was asked for
	To             string    `schema:"to"`
	From           string    `schema:"from"`
	CallerIDName   string    `schema:"caller_id_name"`
	CallerIDNumber string    `schema:"caller_id_number"` // matches caller_id_Number too, which parking may send
	CalleeIDName   string    `schema:"callee_id_name"`
	CalleeIDNumber string    `schema:"callee_id_number"`
	SwitchHostname string    `schema:"switch_hostname"`
	PresenceID     string    `schema:"presence_id"`
	ChannelName    string    `schema:"channel_name"`
	ChannelState   string    `schema:"channel_state"`
	ChannelVars    `schema:"-"`
	// ApplicationVars are the custom_application_vars, set by whoever made the call:
	// their keys and nesting are free. Secrets in them are masked.
	ApplicationVars map[string]any `schema:"-"`
}

// ChannelVars are the custom_channel_vars that Kazoo sets itself. Version 4 writes
// their keys as Owner-ID, version 5 as owner_id; both end up here.
type ChannelVars struct {
	VarAccountID         string `schema:"custom_channel_vars[account_id]"`
	VarOwnerID           string `schema:"custom_channel_vars[owner_id]"`
	VarAuthorizingID     string `schema:"custom_channel_vars[authorizing_id]"`
	VarAuthorizingType   string `schema:"custom_channel_vars[authorizing_type]"`
	VarFetchID           string `schema:"custom_channel_vars[fetch_id]"`
	VarBridgeID          string `schema:"custom_channel_vars[bridge_id]"`
	VarRealm             string `schema:"custom_channel_vars[realm]"`
	VarGlobalResource    string `schema:"custom_channel_vars[global_resource]"` // "true" or "false", text in JSON as well
	VarResourceID        string `schema:"custom_channel_vars[resource_id]"`
	VarCallInteractionID string `schema:"custom_channel_vars[call_interaction_id]"`
}

// CDR is the payload of cdr, a call detail record (version 5).
type CDR struct {
	Channel `schema:"-"`
}
