package fakekazoo

import (
	"slices"
	"strconv"
	"strings"
)

// event is something that happened in an account. Each hook's body is made from it.
type event struct {
	hook    string // the hook that it fires: "object", "channel_create", ...
	account *account
	body    *jobj // version 1, without cluster_id

	// The envelope of version 2. data nil: the body of version 1.
	name    string
	data    *jobj
	forceV2 bool

	internalLeg               bool   // of a call: hooks may leave these out
	docType, action, objectID string // object events
	notification              string // notifications and streams: the type
}

// title names the event for people and for Truth.
func (ev event) title() string {
	switch {
	case ev.docType != "":
		return ev.docType + "." + ev.action
	case ev.notification != "":
		return ev.hook + "." + ev.notification
	default:
		return ev.hook
	}
}

// matches reports whether a hook gets the event (kazoo
// applications/webhooks/src/webhooks_util.erl find_webhooks,
// modules/webhooks_object.erl match_action_type).
func (k *Kazoo) matches(h *hook, ev event) bool {
	if !h.enabled() || (h.event() != ev.hook && h.event() != "all") {
		return false
	}
	if h.account != ev.account &&
		(h.doc.get("include_subaccounts") != true || !ev.account.descendsFrom(h.account) || k.silent(ev)) {
		return false
	}
	if ev.internalLeg && h.doc.get("include_internal_legs") == false {
		return false
	}
	custom := h.customData()
	if h.event() == "all" || custom == nil {
		return true
	}
	switch ev.hook {
	case "object":
		return k.modifierMatches(custom, "type", ev.docType) && k.modifierMatches(custom, "action", ev.action)
	case "notifications", "stream":
		t := custom.get("type")
		return t == nil || t == "all" || t == ev.notification
	default:
		return true
	}
}

// silent reports whether only the account's own hooks get a deletion: HEAD looks up the
// account to find the hooks above it, and the account no longer exists.
func (k *Kazoo) silent(ev event) bool {
	return k.version == version5 && ev.docType == accountKind.typ && ev.action == "doc_deleted"
}

// modifierMatches accepts `all` on version 5 only.
func (k *Kazoo) modifierMatches(custom *jobj, key, want string) bool {
	got := custom.str(key)
	return got == want || (got == "all" && k.version == version5)
}

// emit fires the hooks that match: one goroutine per event, the hooks of one
// event in sequence. The lock is held.
func (k *Kazoo) emit(ev event) {
	if k.closed {
		return
	}
	var hooks []hook
	k.app.update(k)
	for _, h := range k.app.table {
		if k.matches(&h, ev) {
			hooks = append(hooks, h)
		}
	}
	if len(hooks) == 0 {
		return
	}
	slices.SortFunc(hooks, func(a, b hook) int { return int(a.serial - b.serial) })
	_, down := k.faults.take(FaultAppDown, ev.hook)
	k.flight.add()
	k.wg.Go(func() {
		defer k.flight.done()
		for _, h := range hooks {
			if down {
				k.finish(k.firing(h, ev), OutcomeDropped)
			} else {
				k.fire(h, ev)
			}
		}
	})
}

// objectEvent returns the event of a change to a document. The caller holds the lock.
func (k *Kazoo) objectEvent(d *document, action string) event {
	body := obj("id", d.id, "account_id", d.account.ID, "action", action, "type", d.kind.typ)
	ev := event{
		hook: "object", account: d.account, body: body,
		docType: d.kind.typ, action: action, objectID: d.id, name: action,
	}
	if k.version != version5 {
		return ev
	}
	if d.kind.typ == "user" {
		body.set("auth_user_id", loginUserID)
	}
	if d.kind.typ != "account" {
		body.set("auth_account_id", k.logins[0].account.ID)
	}
	ev.data = objectData(d, action)
	// An account's deletion goes out in the envelope of version 2 whatever the
	// hook's version, and its data has no account_id.
	if d.kind.typ == "account" && action == "doc_deleted" {
		ev.forceV2 = true
		ev.data.del("account_id")
	}
	return ev
}

// loginUserID is the id of the user that changes things through the API.
const loginUserID = "eeee5555ffff6666aaaa7777bbbb8888"

// objectData is the data of an object event of version 2. HEAD swaps
// date_created and date_modified.
func objectData(d *document, action string) *jobj {
	database := "accounts"
	if d.kind.typ != "account" {
		id := d.account.ID
		database = "account%2F" + id[:2] + "%2F" + id[2:4] + "%2F" + id[4:]
	}
	deleted := action == "doc_deleted"
	data := obj(
		"type", d.kind.typ, "rev", revision(d), "is_soft_deleted", deleted,
		"date_modified", d.created, "date_created", d.modified,
		"account_id", d.account.ID, "database", database, "id", d.id,
		"metadata", obj("id", d.id, "created", d.created, "modified", d.modified))
	if deleted {
		data.obj("metadata").set("deleted", true)
	} else {
		data.set("doc", d.public())
	}
	return data
}

func revision(d *document) string {
	return strconv.Itoa(d.revision) + "-" + strings.Repeat((d.id + "00000000")[:8], 4)
}
