package event

// Stream is the payload of stream.start and stream.stop (version 5).
type Stream struct {
	EventName  string    `schema:"event_name"` // stream_start or stream_stop; absent in version 2
	AccountID  string    `schema:"account_id"`
	ClusterID  string    `schema:"cluster_id"`
	CallID     string    `schema:"call_id"`
	StreamID   string    `schema:"stream_id"`
	StreamName string    `schema:"stream_name"`
	Timestamp  Gregorian `schema:"timestamp"`
}
