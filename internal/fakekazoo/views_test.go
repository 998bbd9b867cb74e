package fakekazoo

import (
	"strings"
	"testing"
	"time"
)

// Listings lag behind creations and deletions by a set time, while GET doesn't.
func TestViewLag(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	c, do := logIn(t, k), control(t, k)
	old, err := k.SeedUsers("", 3)
	if err != nil {
		t.Fatal(err)
	}
	do(200, "PUT", "/view-lag", `{"lag":"1h"}`)
	do(400, "PUT", "/view-lag", `{"lag":"long"}`)
	young, err := k.CreateUser(User{})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.DeleteUser(old[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := k.EditObject(old[1].ID, map[string]any{"first_name": "Changed"}); err != nil {
		t.Fatal(err)
	}
	branch, err := k.CreateAccount(Account{Name: "branch"})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.DeleteAccount("acme-north"); err != nil {
		t.Fatal(err)
	}
	hook := c.ask(201, "PUT", "/webhooks", apiHook()).obj("data").str("id")

	listed := func(path string) string { return text(c.ask(200, "GET", path, nil)) }
	if s := listed("/users"); !strings.Contains(s, old[0].ID) || strings.Contains(s, young.ID) || strings.Contains(s, "Changed") {
		t.Error("users:", s)
	}
	c.ask(404, "GET", "/users/"+old[0].ID, nil)
	c.ask(200, "GET", "/users/"+young.ID, nil)
	if s := listed("/descendants"); strings.Contains(s, branch) || !strings.Contains(s, "acme-north") {
		t.Error("accounts:", s)
	}
	if s := listed("/webhooks"); !strings.Contains(s, hook) {
		t.Error("the listing of hooks must not lag by default:", s)
	}
	// After the user was restored and deleted again, it is still listed once.
	for _, change := range []func(string) error{k.Undelete, k.DeleteUser} {
		if err := change(old[0].ID); err != nil {
			t.Fatal(err)
		}
	}
	if s := listed("/users"); strings.Count(s, `"`+old[0].ID+`"`) != 1 {
		t.Error("users:", s)
	}
	do(200, "PUT", "/view-lag", `{"lag":"1h","listings":["webhooks"]}`)
	if err := k.ChangeHook(hook, map[string]any{"uri": "http://elsewhere/"}); err != nil {
		t.Fatal(err)
	}
	if s := listed("/webhooks"); strings.Contains(s, "elsewhere") {
		t.Error("hooks:", s)
	}
	do(200, "PUT", "/view-lag", `{"lag":"0s"}`)
	if s := listed("/users"); strings.Contains(s, old[0].ID) || !strings.Contains(s, young.ID) || !strings.Contains(s, "Changed") {
		t.Error("users without lag:", s)
	}
}

func TestViewsCatchUp(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{Speed: 1000, ViewLag: time.Minute})
	c := logIn(t, k)
	u, err := k.CreateUser(User{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the user is listed", func() bool {
		return strings.Contains(text(c.ask(200, "GET", "/users", nil)), u.ID)
	})
}
