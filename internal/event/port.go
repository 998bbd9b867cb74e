package event

// Port is the payload of the kinds about porting a number: port_request,
// port_scheduled, port_comment, ported, ...
type Port struct {
	Notification  `schema:"-"`
	PortRequestID string    `schema:"port_request_id"`
	Number        string    `schema:"number"`
	NumberState   string    `schema:"number_state"`
	LocalNumber   string    `schema:"local_number"`
	AuthorizedBy  string    `schema:"authorized_by"`
	Version       string    `schema:"version"`
	PortName      string    `schema:"port[name]"`
	ScheduledDate Gregorian `schema:"port[scheduled_date]"`

	CommentAuthor    string    `schema:"comment[author]"`
	CommentContent   string    `schema:"comment[content]"`
	CommentTimestamp Gregorian `schema:"comment[timestamp]"`
	CommentPrivate   bool      `schema:"comment[superduper_comment]"`
	ReasonContent    string    `schema:"reason[content]"`
	ReasonTimestamp  Gregorian `schema:"reason[timestamp]"`
}
