package crossbar

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strings"
)

// Object is one of Kazoo's objects: a user, a device, ...
type Object struct {
	ID  string
	Raw json.RawMessage
	// Fields identify the object to people, each as text; lists are joined by
	// commas.
	Fields map[string]string
}

// identifying lists the fields of Object.Fields. None of them is a secret.
func identifying() []string {
	return []string{
		"id", "username", "email", "first_name", "last_name", "name", "realm", "mac_address",
		"mailbox", "numbers", "owner_id", "caller_id", "device_type", "priv_level", "media_source",
	}
}

// Kinds lists the kinds of objects that Objects and Object know.
func Kinds() []string {
	return []string{"users", "devices", "vmboxes", "callflows", "faxboxes", "media", "accounts"}
}

// Objects lists the objects of a kind in an account, page by page, without deleted
// ones. Kind "accounts" lists the descendants. An error comes last; without an
// error the listing was complete and each object was given once.
func (c *Client) Objects(ctx context.Context, account, kind string) iter.Seq2[Object, error] {
	if kind == "accounts" {
		return c.listObjects(ctx, opObjectsList, "accounts", account, "descendants")
	}
	if err := checkKind(kind); err != nil {
		return func(yield func(Object, error) bool) { yield(Object{}, err) }
	}
	return c.listObjects(ctx, opObjectsList, "accounts", account, kind)
}

// Object reads one object. IsNotFound recognises the error for an object that was
// deleted or never existed. Kind "accounts" reads the account id and ignores
// account.
func (c *Client) Object(ctx context.Context, account, kind, id string) (Object, error) {
	if err := checkKind(kind); err != nil {
		return Object{}, err
	}
	parts := []string{"accounts", account, kind, id}
	if kind == "accounts" {
		parts = []string{"accounts", id}
	}
	path, err := resource(parts...)
	if err != nil {
		return Object{}, err
	}
	env, err := c.call(ctx, request{op: opObjectsGet, method: http.MethodGet, path: path, auth: true})
	if err != nil {
		return Object{}, err
	}
	o, err := parseObject(env.Data)
	if err != nil || o.ID != "" && o.ID != id {
		// An answer about another object must not be accepted.
		return Object{}, c.malformed(opObjectsGet, http.MethodGet, path, env, "the answer is not the object that was asked for")
	}
	o.ID, o.Fields["id"] = id, id
	return o, nil
}

// AccountExists reports whether an account exists. For an account that this login
// may not see it returns an error.
func (c *Client) AccountExists(ctx context.Context, id string) (bool, error) {
	_, err := c.Object(ctx, "", "accounts", id)
	if IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// Descendants lists the accounts below an account, all generations.
func (c *Client) Descendants(ctx context.Context, account string) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		for o, err := range c.listObjects(ctx, opDescendants, "accounts", account, "descendants") {
			a := Account{ID: o.ID, Name: o.Fields["name"], Realm: o.Fields["realm"]}
			if !yield(a, err) || err != nil {
				return
			}
		}
	}
}

// Ancestors returns the ids of the accounts above one, from the topmost that this
// login may see down.
func (c *Client) Ancestors(ctx context.Context, account string) ([]string, error) {
	path, err := resource("accounts", account, "tree")
	if err != nil {
		return nil, err
	}
	env, err := c.call(ctx, request{op: opObjectsGet, method: http.MethodGet, path: path, auth: true})
	if err != nil {
		return nil, err
	}
	var rows []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(env.Data, &rows); err != nil {
		return nil, c.malformed(opObjectsGet, http.MethodGet, path, env, "the answer is not a list of accounts")
	}
	ids := []string{}
	for _, row := range rows {
		if row.ID != "" && row.ID != account {
			ids = append(ids, row.ID)
		}
	}
	return ids, nil
}

func (c *Client) listObjects(ctx context.Context, op string, parts ...string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		path, err := resource(parts...)
		if err != nil {
			yield(Object{}, err)
			return
		}
		l := &listing{c: c, req: request{op: op, path: path, auth: true}, key: itemID}
		for raw, err := range l.items(ctx) {
			var o Object
			if err == nil {
				o, err = parseObject(raw)
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

func checkKind(kind string) error {
	for _, k := range Kinds() {
		if k == kind {
			return nil
		}
	}
	return fmt.Errorf("crossbar: %q is not a kind of objects: %s", kind, strings.Join(Kinds(), ", "))
}

func parseObject(raw json.RawMessage) (Object, error) {
	var all map[string]json.RawMessage
	if err := object(raw, &all); err != nil {
		return Object{}, err
	}
	o := Object{ID: text(all["id"]), Raw: raw, Fields: map[string]string{}}
	for _, key := range identifying() {
		if v := words(all[key]); v != "" {
			o.Fields[key] = v
		}
	}
	return o, nil
}

// words returns a scalar or a list of scalars as text, "" for anything nested.
func words(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] == '{' {
		return ""
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return text(raw)
	}
	var parts []string
	for _, e := range list {
		if v := bytes.TrimSpace(e); len(v) > 0 && v[0] != '{' && v[0] != '[' {
			parts = append(parts, text(e))
		}
	}
	return strings.Join(parts, ", ")
}
