package event

// Voicemail is the payload of notification.voicemail_new, .voicemail_saved and
// .voicemail_deleted.
type Voicemail struct {
	Notification        `schema:"-"`
	Parties             `schema:"-"`
	CallID              string    `schema:"call_id"`
	VoicemailBox        string    `schema:"voicemail_box"` // id of the box
	VoicemailID         string    `schema:"voicemail_id"`
	VoicemailTimestamp  Gregorian `schema:"voicemail_timestamp"`
	VoicemailLength     int64     `schema:"voicemail_length"` // milliseconds
	TranscriptionResult string    `schema:"voicemail_transcription[result]"`
	TranscriptionText   string    `schema:"voicemail_transcription[text]"`
}

// VoicemailFull is the payload of notification.voicemail_full.
type VoicemailFull struct {
	Notification    `schema:"-"`
	VoicemailBox    string `schema:"voicemail_box"`
	MessageCount    int64  `schema:"message_count"`
	MaxMessageCount int64  `schema:"max_message_count"`
}
