package event

// Account is the payload of the kinds about an account and its money: new_account,
// account_zone_change, low_balance, topup, transaction, bill_reminder,
// service_added.
type Account struct {
	Notification   `schema:"-"`
	AccountName    string    `schema:"account_name"`
	AccountRealm   string    `schema:"account_realm"`
	AccountAPIKey  Secret    `schema:"account_api_key"`
	Timestamp      Gregorian `schema:"timestamp"`
	DueDate        Gregorian `schema:"due_date"`
	CurrentBalance Amount    `schema:"current_balance"`
	Amount         Amount    `schema:"amount"`
	TaxAmount      Amount    `schema:"tax_amount"`
	CurrencyCode   string    `schema:"currency_code"`
	TransactionID  string    `schema:"id"`
	PurchaseOrder  string    `schema:"purchase_order"`
	CardLastFour   string    `schema:"card_last_four"`
	Response       string    `schema:"response"`
	Success        bool      `schema:"success"`
}
