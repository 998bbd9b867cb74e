package event

// MissedCall is the payload of notification.missed_call.
type MissedCall struct {
	Notification `schema:"-"`
	Parties      `schema:"-"`
	CallID       string    `schema:"call_id"`
	To           string    `schema:"to"`
	Timestamp    Gregorian `schema:"timestamp"`
	CallBridged  bool      `schema:"call_bridged"`
	MessageLeft  bool      `schema:"message_left"`
	Recipients   []string  `schema:"notify[email][recipients]"`
}

// Parties are who called whom.
type Parties struct {
	FromUser       string `schema:"from_user"`
	FromRealm      string `schema:"from_realm"`
	ToUser         string `schema:"to_user"`
	ToRealm        string `schema:"to_realm"`
	CallerIDName   string `schema:"caller_id_name"`
	CallerIDNumber string `schema:"caller_id_number"`
	CalleeIDName   string `schema:"callee_id_name"`
	CalleeIDNumber string `schema:"callee_id_number"`
}
