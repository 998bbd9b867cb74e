package crossbartest

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

// listDescendants lists the accounts below, at any depth, by name.
func (c *call) listDescendants() reply {
	var v listView
	for _, a := range c.k.order {
		if a != c.account && a.descendsFrom(c.account) {
			v = append(v, listRow{a.Name, obj("id", a.ID, "name", a.Name, "realm", a.Realm, "tree", a.tree())})
		}
	}
	slices.SortFunc(v, func(a, b listRow) int { return strings.Compare(a.k, b.k) })
	return c.list(v, c.r.URL.Query().Get("descending") != "true")
}
