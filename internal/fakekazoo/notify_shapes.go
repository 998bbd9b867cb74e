package fakekazoo

// The shapes of notifications that Kazoo publishes samples of
// (kazoo applications/crossbar/priv/webhooks_notifications-samples.json): which
// fields are lists, objects, and objects in lists.

// billing is a notification about money, whose lists of objects 4.3's form
// encoder cannot send, or one about the porting of a number.
func (k *Kazoo) billing(acc *account, name string) *jobj {
	switch name {
	case "bill_reminder":
		token := k.rand.hex(16)
		return obj("due_date", k.clock.seconds()+86400, "items", serviceItems(),
			"payment_token", obj(token, obj("bookkeeper", "braintree", "created", k.clock.seconds(), "default", true,
				"expiration", k.clock.seconds()+86400*365, "id", token,
				"metadata", obj("card_type", "Visa", "customer_id", acc.ID, "last_four", "1111"), "modified", k.clock.seconds())),
			"timestamp", k.clock.seconds())
	case "service_added":
		account := obj("account_id", acc.ID, "account_name", acc.Name)
		return obj("audit_log", obj("audit", obj(
			"account", obj("id", acc.ID, "name", acc.Name),
			"agent", account.clone().set("type", "user").set("type_id", loginUserID),
			"authentication", account.clone().set("type", "x-auth-token"),
			"changes", account.clone().set("type", []any{"account"}), "crossbar_request", true,
			"request", obj("client_ip", "192.0.2.7", "id", k.rand.hex(16), "method", "DELETE", "path", "/v2/accounts/"+acc.ID+"/devices/"+k.rand.hex(16)))),
			"items", serviceItems(), "timestamp", k.clock.seconds())
	case "port_request":
		return k.porting(acc)
	default: // topup, transaction
		return obj("add_ons", []any{obj("amount", 5.0, "id", "sip_device", "quantity", 300)}, "amount", 20.0,
			"billing_address", obj("company", "ACME & Co", "country_name", "USA", "customer_id", acc.ID, "locality", "San Francisco", "postal_code", "94111"),
			"card_last_four", "1111", "currency_code", "USD", "date", "63658044053", "discounts", []any{}, "id", k.rand.hex(16),
			"purchase_order", "manual_addition", "response", "Approved", "success", true, "tax_amount", 0, "timestamp", k.clock.seconds())
	}
}

func serviceItems() []any {
	return []any{
		obj("billable", 2, "category", "users", "item", "_all", "quantity", 2, "rate", 10, "total", 20),
		obj("billable", 4, "category", "devices", "discounts", obj("cumulative", obj("quantity", 3, "rate", 2), "total", 6),
			"item", "sip_device", "name", "Device", "quantity", 4, "rate", 2.5, "total", 2),
	}
}

// porting returns fields with `number` as a list, and a `version` that is not the hook's.
func (k *Kazoo) porting(acc *account) *jobj {
	id := k.rand.hex(16)
	return obj("authorized_by", loginUserID, "comment", obj("account_id", acc.ID, "action_required", true, "content", "Please sign & return",
		"is_private", true, "timestamp", k.clock.seconds(), "user_id", loginUserID),
		"local_number", false, "number", []any{k.number(), k.number()}, "number_state", "port_in",
		"port", obj("port_id", id), "port_request_id", id, "version", "v2")
}

// notificationSamples returns one notification of each shape.
func (k *Kazoo) notificationSamples(acc *account) []any {
	list := []any{}
	add := func(name string, fields *jobj) { list = append(list, k.notification(acc, name, fields).body) }
	add("voicemail_new", k.voicemail(acc))
	add("missed_call", k.missedCall(acc))
	add("inbound_fax", k.fax(acc))
	for _, name := range []string{"port_request", "port_cancel", "port_comment", "port_pending", "port_rejected", "port_scheduled", "port_unconfirmed", "ported"} {
		add(name, k.porting(acc))
	}
	for _, name := range []string{"bill_reminder", "service_added", "topup", "transaction"} {
		add(name, k.billing(acc, name))
	}
	add("account_zone_change", obj("zones", obj("home", "Zone")))
	add("cnam_request", obj("acquired_for", acc.ID, "cnam", obj("display_name", "my CNAM", "inbound_lookup", true), "local_number", false,
		"number", k.number(), "number_state", "in_service"))
	add("customer_update", obj("databag", obj("field1", "v", "field2", obj("sub", "w")), "recipient_id", acc.ID, "template_id", k.rand.hex(16), "user_type", "all_users"))
	add("low_balance", obj("current_balance", 340000))
	add("outbound_smtp_fax_error", obj("errors", []any{"Message decode failed"}, "fax_from_email", "ann@example.org", "faxbox_id", k.rand.hex(16),
		"number", k.number(), "owner_id", k.rand.hex(16), "timestamp", k.clock.seconds()))
	add("webhook_disabled", obj("hook_id", k.rand.hex(16)))
	return list
}
