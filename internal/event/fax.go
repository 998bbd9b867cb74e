package event

// Fax is the payload of notification.inbound_fax, .outbound_fax, their _error
// kinds and .outbound_smtp_fax_error.
type Fax struct {
	Notification `schema:"-"`
	Parties      `schema:"-"`
	CallID       string    `schema:"call_id"`
	OwnerID      string    `schema:"owner_id"`
	FaxboxID     string    `schema:"faxbox_id"`
	FaxID        string    `schema:"fax_id"`
	FaxJobID     string    `schema:"fax_jobid"` // outbound
	FaxTimestamp Gregorian `schema:"fax_timestamp"`
	FaxError     string    `schema:"fax_error"`
	ResultCode   string    `schema:"fax_result_code"`
	SendTo       []string  `schema:"fax_notifications[email][send_to]"`

	// What the transmission came to.
	Success         bool   `schema:"fax_info[fax_success]"`
	ECM             bool   `schema:"fax_info[fax_ecm]"` // error correction was used
	BadRows         int64  `schema:"fax_info[fax_bad_rows]"`
	TotalPages      int64  `schema:"fax_info[fax_total_pages]"`
	TransferRate    int64  `schema:"fax_info[fax_transfer_rate]"` // bits per second
	ResultText      string `schema:"fax_info[fax_result_text]"`
	RemoteStationID string `schema:"fax_info[fax_remote_station_id]"`
	Resolution      string `schema:"fax_info[fax_resolution]"`

	// outbound_smtp_fax_error: a mail that could not become a fax.
	Timestamp Gregorian `schema:"timestamp"`
	FromEmail string    `schema:"fax_from_email"`
	ToEmail   string    `schema:"fax_to_email"`
	Errors    []string  `schema:"errors"`
}
