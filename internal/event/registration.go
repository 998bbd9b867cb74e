package event

// Registration is the payload of notification.register, .deregister and
// .first_occurrence.
type Registration struct {
	Notification       `schema:"-"`
	Username           string    `schema:"username"`
	Realm              string    `schema:"realm"`
	UserAgent          string    `schema:"user_agent"`
	Contact            string    `schema:"contact"`
	Status             string    `schema:"status"`
	CallID             string    `schema:"call_id"`
	OwnerID            string    `schema:"owner_id"`
	AuthorizingID      string    `schema:"authorizing_id"`
	AuthorizingType    string    `schema:"authorizing_type"`
	FromUser           string    `schema:"from_user"`
	FromHost           string    `schema:"from_host"`
	ToUser             string    `schema:"to_user"`
	ToHost             string    `schema:"to_host"`
	NetworkIP          string    `schema:"network_ip"`
	NetworkPort        int64     `schema:"network_port"`
	Expires            int64     `schema:"expires"` // seconds
	EventTimestamp     Gregorian `schema:"event_timestamp"`
	SuppressUnregister bool      `schema:"suppress_unregister_notify"`
	Occurrence         string    `schema:"occurrence"` // first_occurrence: "registration" or "call"
}
