package fakekazoo

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

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

// The states of an Offer.
const (
	OfferWhole   = ""
	OfferEmpty   = "empty"
	OfferPartial = "partial" // without what Missing lists
	OfferFailed  = "failed"  // 500 init failed: no master account
)

// Offer is what the cluster offers for a while. Kazoo's maintenance deletes the
// metadata of hooks and builds them again (kapps_maintenance.erl refresh). Hooks
// that exist go on firing; one whose metadata is missing cannot be saved (503).
type Offer struct {
	State string `json:"state"`
	// Missing are hooks ("object") or values of their modifiers ("object:user").
	Missing []string      `json:"missing,omitempty"`
	For     time.Duration `json:"-"` // in real time; 0 is until it is set again

	until time.Time
}

// SetOffer changes the offer. Its zero value makes it whole.
func (k *Kazoo) SetOffer(o Offer) error {
	if !slices.Contains([]string{OfferWhole, OfferEmpty, OfferPartial, OfferFailed}, o.State) {
		return fmt.Errorf("no state of the offer %q; there are %q, %q and %q", o.State, OfferEmpty, OfferPartial, OfferFailed)
	}
	if o.For > 0 {
		o.until = time.Now().Add(o.For)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.offer = o
	return nil
}

// offered lists the hooks that are offered at the moment; false if that fails.
func (k *Kazoo) offered() ([]offeredHook, bool) {
	if !k.offer.until.IsZero() && !time.Now().Before(k.offer.until) {
		k.offer = Offer{}
	}
	switch k.offer.State {
	case OfferEmpty:
		return nil, true
	case OfferFailed:
		return nil, false
	}
	missing := func(names ...string) bool { return slices.Contains(k.offer.Missing, strings.Join(names, ":")) }
	var list []offeredHook
	for _, o := range k.known() {
		if missing(o.id) {
			continue
		}
		for i, m := range o.modifiers {
			o.modifiers[i].items = slices.DeleteFunc(m.items, func(item string) bool { return missing(o.id, item) })
		}
		list = append(list, o)
	}
	return list, true
}

// known lists the hooks that this version has
// (kazoo applications/webhooks/src/modules/). Only 5 knows `all` for objects.
func (k *Kazoo) known() []offeredHook {
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
	offer, ok := c.k.offered()
	if !ok {
		return systemError(http.StatusInternalServerError, "init failed", "init failed")
	}
	for _, o := range offer {
		h := obj("id", o.id, "name", o.name, "description", o.description)
		if len(o.modifiers) > 0 {
			mods := &jobj{}
			for _, m := range o.modifiers {
				if c.k.version == version5 && !c.superAdmin() {
					m.items = slices.DeleteFunc(m.items, forSuperAdmins)
				}
				mods.set(m.name, m.describe())
			}
			h.set("modifiers", mods)
		}
		list = append(list, h)
	}
	return reply{status: http.StatusOK, data: list}
}

// superAdmin reports whether the request is the master account's.
func (c *call) superAdmin() bool { return c.session != nil && c.session.account.parent == nil }

// forSuperAdmins reports whether HEAD offers a notification to the master account
// alone, though anybody may register it (kazoo
// applications/crossbar/src/modules/cb_webhooks.erl NOTIFY_SUPER_ADMIN_ONLY).
func forSuperAdmins(notification string) bool {
	return notification == "system_alert" || notification == "webhook_disabled"
}

func (c *call) samples() reply {
	list := []any{}
	for _, o := range c.k.known() {
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
