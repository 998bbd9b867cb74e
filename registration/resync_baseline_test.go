package registration

import (
	"strings"
	"testing"

	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
)

// TestTypeThatIsAddedLater: the first listing of a type reports nothing in any account,
// also not in accounts that were created since the first comparison. Everything in
// accounts that are created later is new.
func TestTypeThatIsAddedLater(t *testing.T) {
	t.Parallel()
	users := Spec{"object", "user", "all"}
	c := newComparison(t, users)
	c.opts.IncludeSubaccounts = true
	account := func(name string) string {
		t.Helper()
		id, err := c.CreateAccount(fakekazoo.Account{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	device := func(account string) string {
		t.Helper()
		id, err := c.CreateObject("devices", account, map[string]any{"name": "Desk"})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	c.mustPass(t)
	found := account("north")
	user := c.create(t, fakekazoo.User{AccountID: found})
	c.mustPass(t)
	c.want(t, "user.created", user)
	reported := account("south")
	c.live(t, accountType, reported, reported, event.Created)
	for _, account := range []string{found, reported, c.AccountID()} {
		device(account)
	}
	c.opts.Specs = []Spec{users, {"object", "device", "all"}}
	if r, err := c.pass(t, Request{DryRun: true}); err != nil || len(r.Created) != 0 {
		t.Errorf("a dry run shows %d created, %v", len(r.Created), err)
	}
	if r := c.mustPass(t); !r.Baseline {
		t.Error("no baseline")
	}
	c.want(t, "device.created")

	later := account("west")
	var created []string
	for _, account := range []string{found, reported, later, c.AccountID()} {
		created = append(created, device(account))
	}
	if r := c.mustPass(t); r.Baseline {
		t.Error("another baseline")
	}
	c.want(t, "device.created", created...)
	if strings.Contains(c.logged.String(), `"error"`) {
		t.Error(&c.logged)
	}
}
