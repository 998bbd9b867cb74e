package fakekazoo

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

func (a *account) detail() *jobj {
	return a.doc.body.clone().set("is_reseller", a.Reseller).set("reseller_id", a.reseller().ID).set("id", a.ID)
}

func (c *call) getAccount() reply { return ok(c.account.detail()) }

func (c *call) createAccount() reply {
	name := c.data.str("name")
	errs := &jobj{}
	if name == "" {
		required(errs, "name")
	} else if c.k.findAccount(name) != nil {
		errs.set("name", obj("unique", obj("message", "Account name already in use", "cause", name)))
	}
	if errs.len() > 0 {
		return invalid(errs)
	}
	acc, err := c.k.createAccountLocked(Account{Name: name, Realm: c.data.str("realm"), Parent: c.account.ID})
	if err != nil {
		return faultReply(http.StatusInternalServerError)
	}
	return created(acc.detail())
}

func (c *call) deleteAccount() reply {
	was := c.account.detail()
	err := c.k.deleteAccountLocked(c.account)
	if errors.Is(err, ErrHasDescendants) {
		return systemError(http.StatusInternalServerError, "account_has_descendants", "account has descendants")
	}
	return ok(was)
}

// listDescendants lists the accounts below the account, at any depth, by name.
func (c *call) listDescendants() reply {
	var v listView
	for _, a := range c.k.order {
		if a != c.account && a.descendsFrom(c.account) {
			v = append(v, a.listed())
		}
	}
	slices.SortFunc(v, func(a, b listRow) int { return strings.Compare(a.k, b.k) })
	v = c.k.views.read(c.k.clock, descendantsView(c.account), v)
	return c.list(v, c.r.URL.Query().Get("descending") != "true")
}

// listAncestors lists the accounts above the account, the topmost first, without those
// above the login's account.
func (c *call) listAncestors() reply {
	list := []any{}
	for _, a := range slices.Backward(c.account.ancestors()[1:]) {
		if a.descendsFrom(c.session.account) {
			list = append(list, obj("id", a.ID, "name", a.Name))
		}
	}
	return ok(list)
}

func (a *account) listed() listRow {
	return listRow{a.Name, obj("id", a.ID, "name", a.Name, "realm", a.Realm, "tree", a.tree())}
}

func descendantsView(a *account) string { return a.ID + "/" + accountKind.path }

// descendantViews returns the listings that contain the account.
func descendantViews(a *account) []string {
	var names []string
	for _, above := range a.ancestors()[1:] {
		names = append(names, descendantsView(above))
	}
	return names
}

func (k *Kazoo) changingAccount(a *account) {
	k.views.was(k.clock, a.ID, a.listed(), descendantViews(a)...)
}
