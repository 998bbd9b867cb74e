package fakekazoo

import (
	"cmp"
	"slices"
	"strings"
)

// kind is a kind of objects, which has its own listing.
type kind struct {
	path   string   // in the API: "users"
	typ    string   // in events: "user"
	listed []string // fields that a listing shows, besides the id
	key    func(*jobj) string
}

var accountKind = kind{path: "accounts", typ: "account", key: byName}

// kinds are the objects of an account that can be listed.
func kinds() []kind {
	return []kind{
		{"users", "user", []string{"features", "username", "email", "first_name", "last_name", "priv_level", "timezone"}, byLastName},
		{"devices", "device", []string{"name", "device_type", "mac_address", "owner_id", "enabled"}, byName},
		{"vmboxes", "vmbox", []string{"name", "mailbox", "owner_id"}, byName},
		{"callflows", "callflow", []string{"name", "numbers", "patterns", "type", "owner_id"}, byName},
		{"faxboxes", "faxbox", []string{"name", "caller_id", "owner_id"}, byName},
		{"media", "media", []string{"name", "language", "media_source"}, byName},
	}
}

func kindOf(path string) (kind, bool) {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.path == path })
	if i < 0 {
		return kind{}, false
	}
	return all[i], true
}

func byName(body *jobj) string { return body.str("name") }

// byLastName returns the key of Kazoo's view of users; it is not unique.
func byLastName(body *jobj) string {
	return strings.TrimSpace(body.str("last_name") + " " + body.str("first_name"))
}

// document is an object of an account. A deleted one stays, as in Kazoo.
type document struct {
	id                string
	kind              kind
	account           *account
	body              *jobj
	revision          int
	created, modified int64 // gregorian seconds
	deleted           bool
}

func (k *Kazoo) newDocument(acc *account, kd kind, id string, body *jobj) *document {
	now := k.clock.seconds()
	return &document{id: id, kind: kd, account: acc, body: body, revision: 1, created: now, modified: now}
}

func (k *Kazoo) touch(d *document) {
	d.revision++
	d.modified = k.clock.seconds()
}

// public returns the document in the API's form.
func (d *document) public() *jobj { return d.body.clone().set("id", d.id) }

// summary returns the document's row in a listing.
func (d *document) summary() *jobj {
	row := obj("id", d.id)
	for _, field := range d.kind.listed {
		if v := d.body.get(field); v != nil {
			row.set(field, v)
		}
	}
	return row
}

// row is one row of a view.
type row struct {
	key string
	doc *document
}

// collection is an account's objects of one kind, with the sorted view that
// its listing reads.
type collection struct {
	rows   []row
	sorted bool
}

func (a *account) collection(path string) *collection {
	c := a.objects[path]
	if c == nil {
		c = &collection{sorted: true}
		a.objects[path] = c
	}
	return c
}

// keyOf returns a document's key in its listing: 4.3 lists users by id, with unique
// keys.
func (k *Kazoo) keyOf(d *document) string {
	if d.kind.path == "users" && k.version == version43 {
		return d.id
	}
	return d.kind.key(d.body)
}

// rekey adds a document to its collection, or updates its key after an edit.
func (k *Kazoo) rekey(d *document) {
	c := d.account.collection(d.kind.path)
	i := slices.IndexFunc(c.rows, func(r row) bool { return r.doc == d })
	if i < 0 {
		k.add(d)
		return
	}
	c.rows[i].key = k.keyOf(d)
	c.sorted = false
}

func (k *Kazoo) add(d *document) {
	c := d.account.collection(d.kind.path)
	c.rows = append(c.rows, row{k.keyOf(d), d})
	c.sorted = false
}

// changing must be called before a document changes, because its view may lag.
func (k *Kazoo) changing(d *document) {
	name := objectsView(d.account, d.kind)
	if d.deleted {
		k.views.absent(k.clock, d.id, name)
		return
	}
	k.views.was(k.clock, d.id, listRow{k.keyOf(d), d.summary()}, name)
}

func objectsView(a *account, kd kind) string { return a.ID + "/" + kd.path }

// view returns the rows in ascending order. Deleted documents may be among them: the
// next sort removes them.
func (c *collection) view() []row {
	if !c.sorted {
		c.rows = slices.DeleteFunc(c.rows, func(r row) bool { return r.doc.deleted })
		slices.SortFunc(c.rows, func(a, b row) int {
			return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.doc.id, b.doc.id))
		})
		c.sorted = true
	}
	return c.rows
}

func (c *collection) live() []*document {
	var out []*document
	for _, r := range c.rows {
		if !r.doc.deleted {
			out = append(out, r.doc)
		}
	}
	return out
}
