package fakekazoo

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// walk reads all pages of a listing, and stops when next_start_key repeats.
func walk(c *client, path string) (ids []string, stuck bool) {
	next := ""
	for {
		query := url.Values{}
		if next != "" {
			query.Set("start_key", next)
		}
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		body := c.ask(200, "GET", path+sep+query.Encode(), nil)
		for _, r := range rowsOf(body) {
			ids = append(ids, r.(*jobj).str("id"))
		}
		was := next
		if next = body.str("next_start_key"); next == "" {
			return ids, false
		}
		if next == was {
			return ids, true
		}
	}
}

func TestUserListing(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{MaxUnpaged: 150, Version: "5"})
	c := logIn(t, k)
	var want []string
	for i := range 130 {
		u, err := k.CreateUser(User{FirstName: "F", LastName: fmt.Sprintf("L%03d", i)})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, u.ID)
	}
	if err := k.EditObject(want[0], map[string]any{"last_name": "Z"}); err != nil { // now the last one
		t.Fatal(err)
	}
	want = append(want[1:], want[0])
	got, stuck := walk(c, "/users?ascending=true")
	if diff := cmp.Diff(want, got); diff != "" || stuck {
		t.Errorf("ascending: stuck %v %s", stuck, diff)
	}
	slices.Reverse(want)
	got, _ = walk(c, "/users")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("descending is the default:", diff)
	}
	got, _ = walk(c, "/users?page_size=7")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("small pages:", diff)
	}
	row, _ := rowsOf(c.ask(200, "GET", "/users?page_size=1", nil))[0].(*jobj)
	if diff := cmp.Diff([]string{"id", "username", "email", "first_name", "last_name", "priv_level"}, fieldNames(row)); diff != "" {
		t.Error(diff)
	}

	// A deleted user is in no listing, and its GET is 404.
	if err := k.DeleteUser(want[3]); err != nil {
		t.Fatal(err)
	}
	c.ask(404, "GET", "/users/"+want[3], nil)
	got, _ = walk(c, "/users")
	if slices.Contains(got, want[3]) || len(got) != 129 {
		t.Error("a deleted user is listed")
	}
	if n := len(rowsOf(c.ask(200, "GET", "/users?paginate=false", nil))); n != 129 {
		t.Error(n)
	}
	if _, err := k.SeedUsers("", 30); err != nil {
		t.Fatal(err)
	}
	c.ask(416, "GET", "/users?paginate=false", nil)
	c.ask(400, "GET", "/users?page_size=0", nil)
	c.ask(200, "GET", "/users?start_key=not+opaque", nil)
}

// 4.3 sorts users by id, ascending, and no two keys are equal.
func TestUserListingOf43(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	c := logIn(t, k)
	var want []string
	for range 120 {
		u, err := k.CreateUser(User{FirstName: "Ann", LastName: "Lee"})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, u.ID)
	}
	if err := k.EditObject(want[0], map[string]any{"last_name": "Z"}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	got, stuck := walk(c, "/users")
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" || stuck {
		t.Errorf("stuck %v %s", stuck, diff)
	}
	slices.Reverse(want)
	if got, _ = walk(c, "/users?descending=true"); !slices.Equal(want, slices.Compact(got)) {
		t.Error("descending:", got)
	}
}

// More users have the same name than a page holds.
func TestSameNamesGetStuck(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{Version: "5"})
	c := logIn(t, k)
	for range 51 {
		if _, err := k.CreateUser(User{FirstName: "Ann", LastName: "Lee"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, stuck := walk(c, "/users"); !stuck {
		t.Error("pages of 50 went past 51 users of one name")
	}
	if ids, stuck := walk(c, "/users?page_size=51"); stuck || len(ids) != 51 {
		t.Errorf("%d users, stuck %v", len(ids), stuck)
	}
}

func TestObjectLife(t *testing.T) {
	t.Parallel()
	for _, kd := range kinds() {
		t.Run(kd.path, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, answer(200))
			k := newKazoo(t, Options{Speed: 1000})
			c := logIn(t, k)
			for _, action := range []string{"doc_created", "doc_edited", "doc_deleted"} {
				mustHook(t, k, objectHook(r.URL, "custom_data", map[string]any{"type": kd.typ, "action": action}))
			}
			doc := obj("name", "N", "first_name", "A", "last_name", "B", "username", "ab", "password", "secret")
			made := c.ask(201, "PUT", "/"+kd.path, doc).obj("data")
			at := "/" + kd.path + "/" + made.str("id")
			if made.has("password") {
				t.Error("the answer has the password")
			}
			c.ask(200, "PATCH", at, obj("name", "M", "username", nil))
			c.ask(200, "POST", at, obj("name", "O", "first_name", "C", "last_name", "D"))
			if got := c.ask(200, "GET", at, nil).obj("data").str("name"); got != "O" {
				t.Error(got)
			}
			c.ask(200, "DELETE", at, nil)
			for _, method := range []string{"GET", "DELETE"} {
				c.ask(404, method, at, nil)
			}
			c.ask(404, "POST", at, doc)
			c.ask(404, "PATCH", at, doc)
			idle(t, k)
			got := map[string]int{}
			for len(r.got) > 0 {
				d := <-r.got
				_, action, _ := strings.Cut(d.body, "&action=")
				action, _, _ = strings.Cut(action, "&cl")
				got[action]++
			}
			want := map[string]int{
				"doc_created&type=" + kd.typ: 1, "doc_edited&type=" + kd.typ: 2, "doc_deleted&type=" + kd.typ: 1,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if kd.path != "callflows" {
				c.ask(400, "PUT", "/"+kd.path, obj("x", 1))
				c.ask(400, "PUT", "/"+kd.path, obj("name", 1, "first_name", 1, "last_name", 2))
			}
		})
	}
}

func TestUsernamesAreUnique(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	c := logIn(t, k)
	ann := obj("first_name", "Ann", "last_name", "Lee", "username", "ann")
	made := c.ask(201, "PUT", "/users", ann).obj("data")
	body := c.ask(400, "PUT", "/users", ann.clone().set("username", "ANN"))
	contains(t, text(body), `"username":{"unique":`)
	c.ask(200, "POST", "/users/"+made.str("id"), ann)
	c.ask(400, "POST", "/users/"+made.str("id"), obj("first_name", "Ann"))
}

func TestGoMethodsRefuse(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	u, err := k.CreateUser(User{ID: "0123456789abcdef0123456789abcdee"})
	if err != nil {
		t.Fatal(err)
	}
	_, again := k.CreateUser(User{ID: u.ID})
	_, noAccount := k.CreateUser(User{AccountID: "nowhere"})
	_, noKind := k.CreateObject("planets", "", nil)
	_, noWhere := k.CreateObject("devices", "nowhere", nil)
	_, noSeed := k.SeedUsers("nowhere", 1)
	_, noHook := k.CreateHook("nowhere", nil)
	_, noCall := k.PlaceCall(Call{AccountID: "nowhere"})
	_, noUser := k.DeleteRandomUser("acme-north")
	for i, err := range []error{
		again, noAccount, noKind, noWhere, noSeed, noHook, noCall, noUser, k.SaveDeleted(u.ID), k.Undelete(u.ID), k.DeleteUser("x"),
		k.MissCall("nowhere"), k.EditObject("x", nil),
	} {
		if err == nil {
			t.Errorf("number %d: no error", i)
		}
	}
	if id, err := k.DeleteRandomUser(""); err != nil || id != u.ID {
		t.Error(id, err)
	}
}
