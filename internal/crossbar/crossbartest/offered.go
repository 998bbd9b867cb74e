package crossbartest

import "strings"

// offeredHook is a hook that the cluster offers.
type offeredHook struct {
	id, name, description string
	modifiers             []modifier
}

// modifier is a field of custom_data that a hook must have.
type modifier struct {
	name, description string
	items             []string
	keyed             bool // items is an object in the API, not a list
}

func (m modifier) values() []any {
	out := make([]any, len(m.items))
	for i := range m.items {
		out[i] = m.items[i]
	}
	return out
}

func (m modifier) describe() *jobj {
	if !m.keyed {
		return obj("type", "array", "description", m.description, "items", m.values())
	}
	items := &jobj{}
	for _, item := range m.items {
		items.set(item, obj("friendly_name", strings.ReplaceAll(item, "_", " "), "description", "notification "+item))
	}
	return obj("type", "object", "description", m.description, "items", items)
}

// offered lists the hooks that this version offers
// (kazoo applications/webhooks/src/modules/). Only 5 knows `all` for objects.
func (k *Kazoo) offered() []offeredHook {
	types := []string{
		"account", "call_recording", "callflow", "device", "fax", "faxbox", "mailbox_message", "media", "user", "vmbox",
	}
	actions := []string{"doc_created", "doc_edited", "doc_deleted"}
	if k.version == version5 {
		types, actions = append([]string{"all"}, types...), append([]string{"all"}, actions...)
	}
	list := []offeredHook{
		{"channel_answer", "Channel Answer", "This webhook is triggered when a channel establishes two-way audio", nil},
		{"channel_bridge", "Channel Bridge", "This webhook is triggered when two channels are connected", nil},
		{"channel_create", "Channel Create", "This webhook is triggered when a new channel is created", nil},
		{"channel_destroy", "Channel Destroy", "This webhook is triggered when a channel is destroyed", nil},
		{"mms", "MMS", "Receive multimedia messages", nil},
		{"notifications", "Notifications", "Receive notifications as webhook", []modifier{
			{"type", "A list of notification types to handle", append([]string{"all"}, notificationTypes()...), true},
		}},
		{"object", "Object", "Receive notifications when objects (like JSON document objects) in Kazoo are changed", []modifier{
			{"type", "A list of object types to handle", types, false},
			{"action", "A list of object actions to handle", actions, false},
		}},
		{"parking", "Call Parking", "Events when calls get parked/retrieved", nil},
		{"sms", "SMS", "Receive text messages", nil},
	}
	if k.version == version5 {
		list = append(list,
			offeredHook{"cdr", "CDR", "Receive call detail records", nil},
			offeredHook{"stream", "Stream", "Events of media streams", []modifier{
				{"type", "A list of stream events to handle", []string{"all", "stream_start", "stream_stop"}, false},
			}})
	}
	return list
}

func notificationTypes() []string {
	return []string{
		"account_zone_change", "bill_reminder", "cnam_request", "customer_update", "denied_emergency_bridge",
		"deregister", "first_occurrence", "inbound_fax", "inbound_fax_error", "low_balance", "missed_call",
		"new_account", "new_user", "outbound_fax", "outbound_fax_error", "outbound_smtp_fax_error",
		"password_recovery", "port_cancel", "port_comment", "port_pending", "port_rejected", "port_request",
		"port_scheduled", "port_unconfirmed", "ported", "register", "service_added", "system_alert", "topup",
		"transaction", "voicemail_deleted", "voicemail_full", "voicemail_new", "voicemail_saved", "webhook_disabled",
	}
}

func (c *call) offeredHooks() reply {
	list := []any{}
	for _, o := range c.k.offered() {
		h := obj("id", o.id, "name", o.name, "description", o.description)
		if len(o.modifiers) > 0 {
			mods := &jobj{}
			for _, m := range o.modifiers {
				mods.set(m.name, m.describe())
			}
			h.set("modifiers", mods)
		}
		list = append(list, h)
	}
	return ok(list)
}

func (c *call) samples() reply {
	list := []any{}
	for _, o := range c.k.offered() {
		list = append(list, "webhooks_"+o.id)
	}
	return ok(list)
}

func (c *call) sample() reply {
	id, known := strings.CutPrefix(c.args[0], "webhooks_")
	if list := c.k.sampleEvents(id); known && len(list) > 0 {
		return ok(list)
	}
	return badIdentifier(c.args[0])
}
