package main

import (
	"path/filepath"
	"slices"
	"testing"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/fakekazoo"
)

// TestAccountTree: Kazoo is asked where accounts are in the tree. A destination that
// names an account also gets the events of its descendants.
func TestAccountTree(t *testing.T) {
	t.Parallel()
	r := newRecipient(t)
	file := filepath.Join(t.TempDir(), "x.yaml")
	s := newScene(t, "INCLUDE_SUBACCOUNTS=true")
	parent, err := s.CreateAccount(fakekazoo.Account{Name: "parent", Parent: fakekazoo.DefaultAccountID})
	if err != nil {
		t.Fatal(err)
	}
	child, err := s.CreateAccount(fakekazoo.Account{Name: "child", Parent: parent})
	if err != nil {
		t.Fatal(err)
	}
	tree := accountTree{api: s.service.api}
	above, found, err := tree.Ancestors(t.Context(), child)
	if err != nil || !found || len(above) < 2 || above[len(above)-1] != parent || above[len(above)-2] != fakekazoo.DefaultAccountID {
		t.Errorf("above the child: %v, %v, %v", above, found, err)
	}
	if _, found, err = tree.Ancestors(t.Context(), "00000000000000000000000000000000"); found || err != nil && !crossbar.IsNotFound(err) {
		t.Errorf("an account that isn't there: %v, %v", found, err)
	}
	listed := map[string][]string{}
	for p, err := range tree.Accounts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		listed[p.Account] = p.Ancestors
	}
	if a := listed[child]; !slices.Contains(a, parent) || !slices.Contains(a, fakekazoo.DefaultAccountID) {
		t.Errorf("listed: %v", listed)
	}

	put(t, file, "destinations: {below: {type: http, url: 'http://"+r.addr+"', secret: "+onwardKey+", accounts: ["+parent+"], events: [user.deleted]}}")
	two := newProcess(t, "KAZOO_API_URL="+s.api, "KAZOOHOOK_CONFIG="+file, "INCLUDE_SUBACCOUNTS=true", "HOOK_NAME=two")
	two.start(nil, execServe)
	for n, account := range []string{child, fakekazoo.DefaultAccountID, parent} {
		body := "id=" + userID(n) + "&account_id=" + account + "&action=doc_deleted&type=user"
		if got := two.send("POST", two.public+"/kazoo/"+processSecret+"/object", body); got != 200 {
			t.Fatalf("answered %d", got)
		}
	}
	two.until("two have arrived", func() bool { return r.got() == 2 })
	two.settled("below")
	r.mu.Lock()
	if r.taken[userID(1)] != 0 {
		t.Error("an event of an account above has arrived")
	}
	r.mu.Unlock()
	if _, accounts := two.read(two.admin + "/api/accounts"); len(accounts) < 100 {
		t.Errorf("accounts %s", accounts)
	}
	two.stop()
}
