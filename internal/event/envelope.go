package event

// Envelope is what Kazoo 5's version 2 puts around an event's data
// (kazoo 5 applications/webhooks/src/webhooks_util.erl).
type Envelope struct {
	Name      string    `schema:"name"`      // doc_deleted, CHANNEL_CREATE, voicemail_new, ...
	Timestamp Gregorian `schema:"timestamp"` // when it was sent
	HMAC      string    `schema:"hmac"`      // see VerifyHMAC; empty where the hook has no key
}

// openEnvelope takes an envelope's data out of a body. What remains of the
// envelope (name, timestamp, hmac, and the hook's custom_data) is the second
// result, nil for version 1.
func openEnvelope(body map[string]any) (data, envelope map[string]any) {
	name, _ := body["name"].(string)
	if body["action"] != "event" || name == "" {
		return body, nil
	}
	delete(body, "action")
	data, ok := body["data"].(map[string]any)
	if ok {
		delete(body, "data")
	} else {
		data = map[string]any{} // an empty object leaves no trace in a form
	}
	return data, body
}

// closeEnvelope puts what remained of the envelope beside the data.
func closeEnvelope(data, envelope map[string]any) {
	key := "envelope"
	for {
		if _, taken := data[key]; !taken {
			break
		}
		key = "_" + key
	}
	data[key] = envelope
}
