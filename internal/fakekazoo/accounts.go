package fakekazoo

import (
	"errors"
	"fmt"
	"slices"
)

// account is an account with its objects, hooks and attempts.
type account struct {
	Account
	parent   *account
	apiKey   string
	doc      *document
	objects  map[string]*collection // by kind
	attempts []*attempt             // in the order in which they were made
}

// ancestors lists the account itself, its parent and so on up to the master.
func (a *account) ancestors() []*account {
	var out []*account
	for ; a != nil; a = a.parent {
		out = append(out, a)
	}
	return out
}

// tree returns Kazoo's pvt_tree: the ids of the ancestors, master first.
func (a *account) tree() []any {
	out := []any{}
	for p := a.parent; p != nil; p = p.parent {
		out = append(out, p.ID)
	}
	slices.Reverse(out)
	return out
}

func (a *account) descendsFrom(b *account) bool { return slices.Contains(a.ancestors(), b) }

// reseller returns the nearest reseller above the account, or the master account.
func (a *account) reseller() *account {
	r := a
	for p := a.parent; p != nil; p = p.parent {
		if r = p; p.Reseller {
			break
		}
	}
	return r
}

// ErrNotFound says that there is no such object, or that it is deleted.
var ErrNotFound = errors.New("fakekazoo: not found")

func (k *Kazoo) addAccount(a Account) (*account, error) {
	var parent *account
	if a.Parent != "" || len(k.order) > 0 {
		if parent = k.findAccount(a.Parent); parent == nil {
			return nil, fmt.Errorf("account %q: parent %q: %w", a.Name, a.Parent, ErrNotFound)
		}
	}
	setDefault(&a.ID, k.rand.hex(16))
	setDefault(&a.Name, "account "+a.ID[:6])
	setDefault(&a.Realm, a.Name+".sip.example.org")
	if k.findAccount(a.ID) != nil || k.findAccount(a.Name) != nil {
		return nil, fmt.Errorf("account %q exists", a.Name)
	}
	acc := &account{Account: a, parent: parent, objects: map[string]*collection{}}
	k.views.absent(k.clock, a.ID, descendantViews(acc)...)
	acc.doc = k.newDocument(acc, accountKind, a.ID, obj("name", a.Name, "realm", a.Realm, "enabled", true))
	k.accounts[a.ID] = acc
	k.order = append(k.order, acc)
	return acc, nil
}

// findAccount finds an account by id or name.
func (k *Kazoo) findAccount(idOrName string) *account {
	if a := k.accounts[idOrName]; a != nil {
		return a
	}
	for _, a := range k.order {
		if a.Name == idOrName {
			return a
		}
	}
	return nil
}

// accountOr finds an account, or returns the login's if none is given.
func (k *Kazoo) accountOr(idOrName string) (*account, error) {
	if idOrName == "" {
		idOrName = k.logins[0].account.ID
	}
	if a := k.findAccount(idOrName); a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("account %q: %w", idOrName, ErrNotFound)
}

// Accounts lists the accounts that exist, parents before children.
func (k *Kazoo) Accounts() []Account {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]Account, 0, len(k.order))
	for _, a := range k.order {
		out = append(out, a.Account)
	}
	return out
}

// CreateAccount adds an account under a.Parent (default: the login's account) and
// returns its id. It fires doc_created in the new account, so hooks above that include
// subaccounts get it too. It also fires a new_account notification, which carries the
// account's API key.
func (k *Kazoo) CreateAccount(a Account) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	setDefault(&a.Parent, k.logins[0].account.ID)
	acc, err := k.createAccountLocked(a)
	if err != nil {
		return "", err
	}
	return acc.ID, nil
}

func (k *Kazoo) createAccountLocked(a Account) (*account, error) {
	acc, err := k.addAccount(a)
	if err != nil {
		return nil, err
	}
	acc.apiKey = k.rand.hex(32)
	k.emitAccount(acc, "doc_created")
	k.notifyLocked(acc, "new_account", obj(
		"account_realm", acc.Realm, "account_name", acc.Name, "account_api_key", acc.apiKey))
	return acc, nil
}

// ErrHasDescendants refuses the deletion of an account that has accounts below.
var ErrHasDescendants = errors.New("fakekazoo: account has descendants")

// DeleteAccount deletes an account with all its objects and hooks. Kazoo fires one
// event for the account and none for its objects.
func (k *Kazoo) DeleteAccount(id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	acc := k.findAccount(id)
	if acc == nil {
		return fmt.Errorf("account %q: %w", id, ErrNotFound)
	}
	return k.deleteAccountLocked(acc)
}

// DeleteAccountTree deletes an account and all accounts below it, the lowest first.
func (k *Kazoo) DeleteAccountTree(id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	top := k.findAccount(id)
	if top == nil {
		return fmt.Errorf("account %q: %w", id, ErrNotFound)
	}
	for _, a := range slices.Backward(slices.Clone(k.order)) { // parents come first
		if a.descendsFrom(top) {
			if err := k.deleteAccountLocked(a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *Kazoo) deleteAccountLocked(acc *account) error {
	for _, other := range k.order {
		if other.parent == acc {
			return ErrHasDescendants
		}
	}
	k.changingAccount(acc)
	k.touch(acc.doc)
	acc.doc.deleted = true
	k.emitAccount(acc, "doc_deleted")
	for _, c := range acc.objects {
		for _, d := range c.live() {
			d.deleted = true
			k.truth.deleted(k.clock.now(), d)
		}
	}
	k.truth.deleted(k.clock.now(), acc.doc)
	for hookID, h := range k.hooks {
		if h.account == acc {
			k.removeHook(hookID)
		}
	}
	delete(k.accounts, acc.ID)
	k.order = slices.DeleteFunc(k.order, func(a *account) bool { return a == acc })
	return nil
}

// emitAccount fires an account's event, twice if so configured.
func (k *Kazoo) emitAccount(acc *account, action string) {
	k.emit(k.objectEvent(acc.doc, action))
	if k.opt.AccountEventsTwice {
		k.emit(k.objectEvent(acc.doc, action))
	}
}
