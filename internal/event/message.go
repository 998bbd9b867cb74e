package event

import "strings"

// Message is a short sentence for people: "user deleted", "call answered".
func (e Event) Message() string {
	if e.Action != "" {
		return strings.ReplaceAll(e.ObjectType, "_", " ") + " " + e.Action.verb()
	}
	family, rest, _ := strings.Cut(e.Event, ".")
	switch family {
	case "channel":
		return callMessage(rest)
	case "parking":
		return "call " + parkingVerb(rest)
	case "notification":
		return notificationMessage(rest)
	case "sms", "mms":
		return strings.ToUpper(family)
	case "cdr":
		return "call detail record"
	case "stream":
		switch rest {
		case "start":
			return "stream started"
		case "stop":
			return "stream stopped"
		}
		return "stream " + rest
	}
	return "delivery not understood"
}

func callMessage(name string) string {
	switch name {
	case "create":
		return "call created"
	case "answer":
		return "call answered"
	case "bridge":
		return "call bridged"
	case "destroy":
		return "call ended"
	case "hold":
		return "call held"
	case "unhold":
		return "call resumed"
	}
	return "call: " + name
}

func parkingVerb(name string) string {
	switch name {
	case "retrieved":
		return "retrieved from parking"
	case "abandoned":
		return "abandoned in parking"
	}
	return "parked"
}

// notificationMessage has words for the kinds that people ask for; the others
// keep Kazoo's name.
func notificationMessage(kind string) string {
	switch kind {
	case "new_user":
		return "user created (notification)"
	case "new_account":
		return "account created (notification)"
	case "password_recovery":
		return "password recovery asked for"
	case "voicemail_new":
		return "voicemail received"
	case "voicemail_saved":
		return "voicemail saved"
	case "voicemail_full":
		return "voicemail box full"
	case "inbound_fax":
		return "fax received"
	case "outbound_fax":
		return "fax sent"
	case "inbound_fax_error":
		return "fax not received"
	case "outbound_fax_error", "outbound_smtp_fax_error":
		return "fax not sent"
	case "missed_call":
		return "call missed"
	case "register":
		return "device registered"
	case "deregister":
		return "device deregistered"
	case "low_balance":
		return "balance low"
	case "ported":
		return "number ported"
	case "webhook_disabled":
		return "webhook disabled by Kazoo"
	}
	return "notification: " + kind
}
