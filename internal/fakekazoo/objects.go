package fakekazoo

import (
	"fmt"
	"strings"
)

// User is a user to create. Empty fields get random values.
type User struct {
	ID        string `json:"id"`      // set on return
	AccountID string `json:"account"` // id or name; default the login's account
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Username  string `json:"username"`
	Email     string `json:"email"`
}

// CreateUser creates a user as the API would: doc_created, and a new_user
// notification that carries the clear-text password.
func (k *Kazoo) CreateUser(u User) (User, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	u, doc, err := k.addUser(u)
	if err != nil {
		return u, err
	}
	k.emit(k.objectEvent(doc, "doc_created"))
	k.notifyLocked(doc.account, "new_user", obj("password", k.rand.hex(6), "user_id", u.ID))
	return u, nil
}

// SeedUsers creates n users without events.
func (k *Kazoo) SeedUsers(account string, n int) ([]User, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	users := make([]User, 0, n)
	for range n {
		u, _, err := k.addUser(User{AccountID: account})
		if err != nil {
			return users, err
		}
		users = append(users, u)
	}
	return users, nil
}

func (k *Kazoo) addUser(u User) (User, *document, error) {
	acc, err := k.accountOr(u.AccountID)
	if err != nil {
		return u, nil, err
	}
	if u.ID == "" {
		u.ID = k.rand.hex(16)
	}
	if k.docs[u.ID] != nil {
		return u, nil, fmt.Errorf("user %s exists", u.ID)
	}
	u.AccountID = acc.ID
	if u.FirstName == "" && u.LastName == "" {
		u.FirstName, u.LastName = k.personName()
	}
	if u.Username == "" {
		u.Username = usernameOf(u.FirstName, u.LastName, u.ID)
	}
	if u.Email == "" {
		u.Email = u.Username + "@" + acc.Realm
	}
	doc := k.newDocument(acc, kinds()[0], u.ID, obj(
		"first_name", u.FirstName, "last_name", u.LastName, "username", u.Username, "email", u.Email,
		"priv_level", "user", "enabled", true))
	k.insert(doc)
	return u, doc, nil
}

func (k *Kazoo) insert(doc *document) {
	k.views.absent(k.clock, doc.id, objectsView(doc.account, doc.kind))
	k.docs[docKey(doc.account, doc.id)] = doc
	k.add(doc)
}

// docKey is the key of a document in docs. Ids are unique in all accounts, except
// those of media prompts, <language>/<prompt>, which are the same in each (kazoo
// applications/crossbar/src/modules/cb_media.erl): those are prefixed with the
// account, here and wherever an id names an object.
func docKey(acc *account, id string) string {
	if strings.Contains(id, "/") {
		return acc.ID + "/" + id
	}
	return id
}

// CreateObject creates an object of any listed kind ("users", "devices",
// "vmboxes", "callflows", "faxboxes", "media"), fires doc_created and returns its
// id. A field "id" replaces the random id. An id with a slash, "en-us/vm-enter_pass", is
// unique only in its account: CreateObject then returns, and EditObject, DeleteObject
// and others take, "<account id>/en-us/vm-enter_pass".
func (k *Kazoo) CreateObject(path, account string, fields map[string]any) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	kd, ok := kindOf(path)
	if !ok {
		return "", fmt.Errorf("no kind of object %q", path)
	}
	acc, err := k.accountOr(account)
	if err != nil {
		return "", err
	}
	body := jobjOf(fields)
	id := body.str("id")
	setDefault(&id, k.rand.hex(16))
	body.del("id")
	key := docKey(acc, id)
	if k.docs[key] != nil {
		return "", fmt.Errorf("object %s exists", key)
	}
	doc := k.newDocument(acc, kd, id, body)
	k.insert(doc)
	k.emit(k.objectEvent(doc, "doc_created"))
	return key, nil
}

// EditObject merges fields into an object and fires doc_edited.
func (k *Kazoo) EditObject(id string, fields map[string]any) error {
	return k.changeDoc(id, false, "doc_edited", func(d *document) {
		for _, key := range sortedKeys(fields) {
			d.body.set(key, jvalueOf(fields[key]))
		}
		k.rekey(d)
	})
}

// DeleteObject deletes a user, device or any other object: it leaves the
// listings, its GET answers 404, and doc_deleted fires once.
func (k *Kazoo) DeleteObject(id string) error {
	return k.changeDoc(id, false, "doc_deleted", func(d *document) {
		d.deleted = true
		k.truth.deleted(k.clock.now(), d)
	})
}

// DeleteUser is DeleteObject.
func (k *Kazoo) DeleteUser(id string) error { return k.DeleteObject(id) }

// SaveDeleted saves a deleted document once more, as some maintenance jobs of
// Kazoo do: doc_deleted fires again.
func (k *Kazoo) SaveDeleted(id string) error {
	return k.changeDoc(id, true, "doc_deleted", func(*document) {})
}

// Undelete brings a deleted object back. Kazoo has no event for that: it
// appears as an edit.
func (k *Kazoo) Undelete(id string) error {
	return k.changeDoc(id, true, "doc_edited", func(d *document) {
		d.deleted = false
		k.rekey(d)
		k.truth.revived(d)
	})
}

func (k *Kazoo) changeDoc(id string, deleted bool, action string, change func(*document)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	doc := k.docs[id]
	if doc == nil || doc.deleted != deleted || k.accounts[doc.account.ID] == nil {
		return fmt.Errorf("object %q: %w", id, ErrNotFound)
	}
	k.changing(doc)
	k.touch(doc)
	change(doc)
	k.emit(k.objectEvent(doc, action))
	return nil
}

// Living lists the ids of one kind's objects in an account (id or name), or in all
// accounts if account is empty. They are in no particular order.
func (k *Kazoo) Living(path, account string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var ids []string
	for _, a := range k.order {
		if account != "" && a.ID != account && a.Name != account {
			continue
		}
		for _, d := range a.collection(path).live() {
			ids = append(ids, docKey(a, d.id))
		}
	}
	return ids
}
