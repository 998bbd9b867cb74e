package crossbartest

import (
	"cmp"
	"slices"
	"strings"
)

// kind is one sort of object, with a listing of its own.
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

// byLastName is the key of Kazoo's view of users; it is not unique.
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

// public is the document as the API returns it.
func (d *document) public() *jobj { return d.body.clone().set("id", d.id) }

// summary is the document's row in a listing.
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

func (c *collection) add(d *document) {
	c.rows = append(c.rows, row{d.kind.key(d.body), d})
	c.sorted = false
}

// rekey follows an edit that may have changed a document's key.
func (c *collection) rekey(d *document) {
	for i := range c.rows {
		if c.rows[i].doc == d {
			c.rows[i].key = d.kind.key(d.body)
			c.sorted = false
			return
		}
	}
	c.add(d)
}

// view returns the rows in ascending order. Deleted documents may be among
// them: they leave at the next sort.
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
