package event

// HookSwitchedOff is the payload of kazoohook.hook_disabled.
type HookSwitchedOff struct {
	Hook            *string `json:"hook"`              // what it fires for: object, channel_create, ...
	HookName        *string `json:"hook_name"`         // its name in Kazoo
	HookID          *string `json:"hook_id"`           // its id in Kazoo
	DisableReason   *string `json:"disable_reason"`    // Kazoo's reason; absent if a person switched the hook off
	LastFailure     *string `json:"last_failure"`      // why its newest delivery failed, and what to do
	LastSeenEnabled *string `json:"last_seen_enabled"` // RFC 3339: when it was last seen enabled, if this process saw it
}

// ConfirmationNeeded is the payload of kazoohook.confirmation_needed.
type ConfirmationNeeded struct {
	ObjectType *string  `json:"object_type"` // the type with too many missing objects
	Missing    *Integer `json:"missing"`     // at least so many are missing
	Known      *Integer `json:"known"`       // so many were known
	Limit      *Integer `json:"limit"`       // most deletions that are reported without confirmation
}

// DeadLetter is the payload of kazoohook.dead_letter.
type DeadLetter struct {
	Destination *string  `json:"destination"` // its name
	OfEvent     *string  `json:"of_event"`    // name of the event that could not be delivered
	OfEventID   *string  `json:"of_event_id"` // its event_id
	OfSeq       *Integer `json:"of_seq"`      // its seq
	ObjectID    *string  `json:"object_id"`   // the object that it is about
	Attempts    *Integer `json:"attempts"`    // number of attempts
	LastError   *string  `json:"last_error"`  // why the last attempt failed
	Reason      *string  `json:"reason"`      // why the attempts ended
}

// Outage is the payload of kazoohook.outage.
type Outage struct {
	From    *string  `json:"from"`            // RFC 3339: until then the hooks are proven to have fired; absent where that isn't known
	To      *string  `json:"to"`              // RFC 3339: from then on they fire
	Seconds *Integer `json:"at_most_seconds"` // its longest possible duration
	Hooks   []string `json:"hooks"`           // names of the hooks in Kazoo
	Reasons []string `json:"reasons"`         // why they may not have fired
}
