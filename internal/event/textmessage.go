package event

// TextMessage is the payload of sms and mms
// (kazoo 4.3 applications/webhooks/src/modules/webhooks_sms.erl).
type TextMessage struct {
	ID        string `schema:"id"`
	AccountID string `schema:"account_id"`
	ClusterID string `schema:"cluster_id"`
	Type      string `schema:"type"` // sms or mms
	From      string `schema:"from"`
	To        string `schema:"to"`
	Body      string `schema:"body"`
	Origin    string `schema:"origin"` // onnet or offnet
	Charges   Amount `schema:"charges"`
}
