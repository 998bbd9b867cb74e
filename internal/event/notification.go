package event

// Notification holds the fields that all notifications share. It is the payload of
// kinds without their own struct. Version 2 sends none of these fields. The fields
// of all kinds are those of Kazoo's AMQP messages in lower case (kazoo 4.3
// core/kazoo_amqp/src/api/kapi_notifications.erl). Any of them may be a list, which
// is then in the data unchanged.
type Notification struct {
	EventName     *string    `json:"event_name"`     // the kind: new_user, voicemail_new, ...
	EventCategory *string    `json:"event_category"` // "notification"
	MsgID         *string    `json:"msg_id"`         // id of the message
	AppName       *string    `json:"app_name"`       // Kazoo's application that sent it
	AppVersion    *string    `json:"app_version"`    // that application's, not Kazoo's
	Node          *string    `json:"node"`           // the Erlang node
	ServerID      *string    `json:"server_id"`      // the message queue that answers go to
	SystemLogID   *string    `json:"system_log_id"`  // what Kazoo's logs call the request
	Timestamp     *Gregorian `json:"timestamp"`      // when it happened, if the notification has it
	CustomType    *string    `json:"type"`           // the hook's custom_data.type, which version 4.3 merges in
}

// Parties are the two sides of a call.
type Parties struct {
	FromUser       *string `json:"from_user"`        // who called
	FromRealm      *string `json:"from_realm"`       // from which SIP domain
	ToUser         *string `json:"to_user"`          // who was called
	ToRealm        *string `json:"to_realm"`         // in which SIP domain
	CallerIDName   *string `json:"caller_id_name"`   // the caller's name
	CallerIDNumber *string `json:"caller_id_number"` // the caller's number
	CalleeIDName   *string `json:"callee_id_name"`   // the callee's name
	CalleeIDNumber *string `json:"callee_id_number"` // the callee's number
}

// NewUser is the payload of notification.new_user.
type NewUser struct {
	Notification `json:"-"`
	UserID       *string `json:"user_id"`  // the user
	Password     *Secret `json:"password"` // the initial password, which Kazoo sends in clear text
}

// PasswordRecovery is the payload of notification.password_recovery.
type PasswordRecovery struct {
	Notification      `json:"-"`
	UserID            *string `json:"user_id"`             // the user
	Email             *string `json:"email"`               // where the link is sent
	FirstName         *string `json:"first_name"`          // of the user
	LastName          *string `json:"last_name"`           // of the user
	Timezone          *string `json:"timezone"`            // of the user
	PasswordResetLink *Secret `json:"password_reset_link"` // sets a password without another login
}

// MissedCall is the payload of notification.missed_call and .cf_notification. The
// media server's data of the call is under notify, unchanged.
type MissedCall struct {
	Notification      `json:"-"`
	Parties           `json:"-"`
	CallID            *string  `json:"call_id"`            // the call
	To                []string `json:"to"`                 // addresses to notify
	CallBridged       *Boolean `json:"call_bridged"`       // the call was answered in the end
	MessageLeft       *Boolean `json:"message_left"`       // the caller left a voicemail
	NotificationMedia *string  `json:"notification_media"` // cf_notification: email or sms
	Comments          *string  `json:"comments"`           // cf_notification: text for the message
	TemplateID        *string  `json:"template_id"`        // cf_notification: the message's template
}

// Voicemail is the payload of notification.voicemail_new, .voicemail_saved and
// .voicemail_deleted.
type Voicemail struct {
	Notification       `json:"-"`
	Parties            `json:"-"`
	CallID             *string        `json:"call_id"`                 // the call
	VoicemailBox       *string        `json:"voicemail_box"`           // id of the box
	VoicemailID        *string        `json:"voicemail_id"`            // id of the message
	VoicemailTimestamp *Gregorian     `json:"voicemail_timestamp"`     // when it was left
	VoicemailLength    *Integer       `json:"voicemail_length"`        // in milliseconds
	Transcription      *Transcription `json:"voicemail_transcription"` // the message as text; Kazoo may send the text alone
}

// Transcription is the voicemail_transcription.
type Transcription struct {
	Result *string `json:"result"` // success, ...
	Text   *string `json:"text"`   // what was said
}

// VoicemailFull is the payload of notification.voicemail_full.
type VoicemailFull struct {
	Notification    `json:"-"`
	VoicemailBox    *string  `json:"voicemail_box"`     // id of the box
	MessageCount    *Integer `json:"message_count"`     // messages in it
	MaxMessageCount *Integer `json:"max_message_count"` // messages that fit
}

// Fax is the payload of notification.inbound_fax, .outbound_fax, their _error
// kinds and .outbound_smtp_fax_error.
type Fax struct {
	Notification  `json:"-"`
	Parties       `json:"-"`
	CallID        *string           `json:"call_id"`           // the call
	OwnerID       *string           `json:"owner_id"`          // the user who owns the fax box
	FaxboxID      *string           `json:"faxbox_id"`         // the fax box
	FaxID         *string           `json:"fax_id"`            // the fax
	FaxJobID      *string           `json:"fax_jobid"`         // outbound: the job that sent it
	FaxTimestamp  *Gregorian        `json:"fax_timestamp"`     // when it was received or sent
	FaxError      *string           `json:"fax_error"`         // what went wrong
	ResultCode    *string           `json:"fax_result_code"`   // the media server's result code
	Info          *FaxInfo          `json:"fax_info"`          // the result of the transmission
	Notifications *FaxNotifications `json:"fax_notifications"` // who is notified

	// For a mail that could not be sent as a fax.
	FromEmail *string  `json:"fax_from_email"` // outbound_smtp_fax_error: who sent the mail
	ToEmail   *string  `json:"fax_to_email"`   // outbound_smtp_fax_error: the recipient
	Errors    []string `json:"errors"`         // outbound_smtp_fax_error: what is wrong with it
}

// FaxInfo is the result of a transmission.
type FaxInfo struct {
	Success          *Boolean `json:"fax_success"`           // it went through
	ECMUsed          *Boolean `json:"fax_ecm_used"`          // error correction was used
	ECM              *Boolean `json:"fax_ecm"`               // the same, as some versions spell it
	T38Used          *Boolean `json:"fax_t38_used"`          // T.38 was used
	BadRows          *Integer `json:"fax_bad_rows"`          // rows with errors
	TotalPages       *Integer `json:"fax_total_pages"`       // pages in all
	TransferredPages *Integer `json:"fax_transferred_pages"` // pages transferred
	ImageSize        *Integer `json:"fax_image_size"`        // in bytes
	TransferRate     *Integer `json:"fax_transfer_rate"`     // in bits per second
	ResultText       *string  `json:"fax_result_text"`       // how it ended
	RemoteStationID  *string  `json:"fax_remote_station_id"` // the other fax
	Resolution       *string  `json:"fax_resolution"`        // of the pages
}

// FaxNotifications lists who is notified of a fax.
type FaxNotifications struct {
	Email *FaxEmail `json:"email"` // by mail
}

// FaxEmail are the addresses that a fax is mailed to.
type FaxEmail struct {
	SendTo []string `json:"send_to"` // the addresses
}

// Port is the payload of the kinds about porting a number: port_request,
// port_scheduled, port_comment, ported, ...
type Port struct {
	Notification  `json:"-"`
	PortRequestID *string      `json:"port_request_id"` // the request
	Number        []string     `json:"number"`          // the numbers
	NumberState   *string      `json:"number_state"`    // port_in, ...
	LocalNumber   *Boolean     `json:"local_number"`    // the number is the system's own
	AuthorizedBy  *string      `json:"authorized_by"`   // who asked for it
	Version       *string      `json:"version"`         // of the message
	Port          *PortDetails `json:"port"`            // the current request
	Comment       *Comment     `json:"comment"`         // port_comment: what was said
	Reason        *Comment     `json:"reason"`          // why the request changed
}

// PortDetails describes a port request in a notification.
type PortDetails struct {
	PortID        *string    `json:"port_id"`        // the request
	Name          *string    `json:"name"`           // its display name
	ScheduledDate *Gregorian `json:"scheduled_date"` // when the numbers move
}

// Comment is a remark on a port request.
type Comment struct {
	Author         *string    `json:"author"`             // who wrote it
	Content        *string    `json:"content"`            // what
	Timestamp      *Gregorian `json:"timestamp"`          // when
	AccountID      *string    `json:"account_id"`         // the author's account
	UserID         *string    `json:"user_id"`            // the author
	IsPrivate      *Boolean   `json:"is_private"`         // for the port's agents only
	ActionRequired *Boolean   `json:"action_required"`    // whether somebody must act
	OldPrivate     *Boolean   `json:"superduper_comment"` // is_private, as older versions spell it
}

// Account is the payload of the kinds about an account and its money: new_account,
// account_zone_change, low_balance, topup, transaction, bill_reminder,
// service_added.
type Account struct {
	Notification   `json:"-"`
	AccountName    *string    `json:"account_name"`    // new_account: its name
	AccountRealm   *string    `json:"account_realm"`   // new_account: its SIP domain
	AccountAPIKey  *Secret    `json:"account_api_key"` // new_account: gives full access to the account
	DueDate        *Gregorian `json:"due_date"`        // bill_reminder: when money is due
	CurrentBalance *Amount    `json:"current_balance"` // low_balance: a number in JSON, text in a form
	Amount         *Amount    `json:"amount"`          // a number in JSON, text in a form
	TaxAmount      *Amount    `json:"tax_amount"`      // a number in JSON, text in a form
	Date           *Gregorian `json:"date"`            // of the transaction
	CurrencyCode   *string    `json:"currency_code"`   // USD, ...
	TransactionID  *string    `json:"id"`              // of the transaction
	PurchaseOrder  *string    `json:"purchase_order"`  // what it was for
	CardLastFour   *string    `json:"card_last_four"`  // the card's last digits
	Response       *string    `json:"response"`        // what the bank said
	Success        *Boolean   `json:"success"`         // it went through
}

// CNAMRequest is the payload of notification.cnam_request.
type CNAMRequest struct {
	Notification `json:"-"`
	AcquiredFor  *string  `json:"acquired_for"` // the account that has the number
	Number       *string  `json:"number"`       // the number
	NumberState  *string  `json:"number_state"` // in_service, ...
	LocalNumber  *Boolean `json:"local_number"` // the number is the system's own
	CNAM         *CNAM    `json:"cnam"`         // what is asked for
}

// CNAM is the name to show for a number.
type CNAM struct {
	DisplayName   *string  `json:"display_name"`   // the name
	InboundLookup *Boolean `json:"inbound_lookup"` // names of callers are looked up
}

// Registration is the payload of notification.register, .deregister and
// .first_occurrence.
type Registration struct {
	Notification       `json:"-"`
	Username           *string    `json:"username"`                   // the device's SIP user
	Realm              *string    `json:"realm"`                      // its SIP domain
	UserAgent          *string    `json:"user_agent"`                 // the device's own description
	Contact            *string    `json:"contact"`                    // where it can be reached
	Status             *string    `json:"status"`                     // deregister: what it was
	CallID             *string    `json:"call_id"`                    // the SIP dialog
	OwnerID            *string    `json:"owner_id"`                   // the user who owns it
	AuthorizingID      *string    `json:"authorizing_id"`             // the device
	AuthorizingType    *string    `json:"authorizing_type"`           // "device", ...
	FromUser           *string    `json:"from_user"`                  // of the SIP message
	FromHost           *string    `json:"from_host"`                  // of the SIP message
	ToUser             *string    `json:"to_user"`                    // of the SIP message
	ToHost             *string    `json:"to_host"`                    // of the SIP message
	NetworkIP          *string    `json:"network_ip"`                 // address that the registration came from
	NetworkPort        *Integer   `json:"network_port"`               // port that the registration came from
	Expires            *Integer   `json:"expires"`                    // in seconds
	EventTimestamp     *Gregorian `json:"event_timestamp"`            // when it happened
	SuppressUnregister *Boolean   `json:"suppress_unregister_notify"` // its end is not notified
	Occurrence         *string    `json:"occurrence"`                 // first_occurrence: "registration" or "call"
}

// HookDisabled is the payload of notification.webhook_disabled.
type HookDisabled struct {
	Notification `json:"-"`
	HookID       *string `json:"hook_id"` // the hook that Kazoo switched off
}

// SystemAlert is the payload of notification.system_alert.
type SystemAlert struct {
	Notification `json:"-"`
	Subject      *string  `json:"subject"`    // what it is about
	Message      *string  `json:"message"`    // what happened
	Module       *string  `json:"module"`     // Kazoo's module
	Line         *Integer `json:"line"`       // the line in it
	Section      *string  `json:"section"`    // part of the system
	PID          *string  `json:"pid"`        // the Erlang process
	RequestID    *string  `json:"request_id"` // the request that led to it
}
