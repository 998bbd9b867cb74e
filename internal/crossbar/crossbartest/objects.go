package crossbartest

import (
	"fmt"
)

// User is a user to create. What is empty is made up.
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

// SeedUsers creates n users that were always there: nothing fires.
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
	k.docs[doc.id] = doc
	doc.account.collection(doc.kind.path).add(doc)
}

// CreateObject creates an object of any listed kind ("users", "devices",
// "vmboxes", "callflows", "faxboxes", "media") and fires doc_created.
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
	doc := k.newDocument(acc, kd, k.rand.hex(16), jobjOf(fields))
	k.insert(doc)
	k.emit(k.objectEvent(doc, "doc_created"))
	return doc.id, nil
}

// EditObject merges fields into an object and fires doc_edited.
func (k *Kazoo) EditObject(id string, fields map[string]any) error {
	return k.changeDoc(id, false, "doc_edited", func(d *document) {
		for _, key := range sortedKeys(fields) {
			d.body.set(key, jvalueOf(fields[key]))
		}
		d.account.collection(d.kind.path).rekey(d)
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
		d.account.collection(d.kind.path).rekey(d)
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
	k.touch(doc)
	change(doc)
	k.emit(k.objectEvent(doc, action))
	return nil
}

// Living lists the ids of the objects of one kind that exist in an account
// (id or name), or in all accounts if that is empty, in no particular order.
func (k *Kazoo) Living(path, account string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var ids []string
	for _, a := range k.order {
		if account != "" && a.ID != account && a.Name != account {
			continue
		}
		for _, d := range a.collection(path).live() {
			ids = append(ids, d.id)
		}
	}
	return ids
}
