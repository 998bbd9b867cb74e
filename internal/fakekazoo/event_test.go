package fakekazoo

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Envelopes with custom_data, and those of version 2, are as Kazoo's own code made them.
func TestEnvelopesReproduceVectors(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, v := range vectors(t) {
		custom, key := v.Hook.obj("custom_data"), v.HMACKey
		if v.Hook.str("hook") != "object" || (custom == nil && key == "") || strings.Contains(v.Note, "clock forced") ||
			strings.Contains(v.Note, "insertion order") {
			continue
		}
		opt := Options{Version: "4.3"}
		if strings.HasPrefix(v.Name, "k5_") {
			opt.Version = "5"
		}
		ev := event{hook: "object", name: v.Expect.str("name")}
		if v.Version == "v2" {
			ev.data = v.Expect.obj("data")
			at, _ := intOf(v.Expect.get("timestamp"))
			if at == 1 {
				continue // custom_data overrides the timestamp, so the time is not known
			}
			opt.Now = func() time.Time { return time.Unix(int64(at)-gregorian, 0) }
		} else {
			ev.body = obj("id", "5f1e2d3c4b5a69788796a5b4c3d2e1f0", "account_id", DefaultAccountID,
				"action", v.Hook.obj("custom_data").str("action"), "type", "user")
			for _, f := range []string{"action", "type"} {
				ev.body.set(f, v.Expect.get(f))
			}
			if opt.Version == "5" {
				ev.body.set("auth_user_id", loginUserID).set("auth_account_id", "aaaa1111bbbb2222cccc3333dddd4444")
			}
		}
		k := newKazoo(t, opt)
		got := k.envelope(hook{account: k.logins[0].account, doc: v.Hook.clone().set("version", v.Version)}, ev)
		if diff := cmp.Diff(text(v.Expect), text(got)); diff != "" {
			t.Errorf("%s: %s", v.Name, diff)
		}
		compared++
	}
	if compared < 12 {
		t.Errorf("only %d vectors compared", compared)
	}
}

// Which hooks get which object events.
func TestMatching(t *testing.T) {
	t.Parallel()
	custom := func(typ, action string) map[string]any { return map[string]any{"type": typ, "action": action} }
	for name, tc := range map[string]struct {
		account string // of the hook
		fields  map[string]any
		v43, v5 bool
	}{
		"exact":                       {"acme", map[string]any{"custom_data": custom("user", "doc_deleted")}, true, true},
		"other type":                  {"acme", map[string]any{"custom_data": custom("device", "doc_deleted")}, false, false},
		"other action":                {"acme", map[string]any{"custom_data": custom("user", "doc_edited")}, false, false},
		"all and all":                 {"acme", map[string]any{"custom_data": custom("all", "all")}, false, true},
		"action missing":              {"acme", map[string]any{"custom_data": map[string]any{"type": "user"}}, false, false},
		"empty custom_data":           {"acme", map[string]any{"custom_data": map[string]any{}}, true, true},
		"no custom_data":              {"acme", map[string]any{}, true, true},
		"top-level type and action":   {"acme", map[string]any{"type": "device", "action": "doc_edited"}, true, true},
		"disabled":                    {"acme", map[string]any{"enabled": false}, false, false},
		"other event":                 {"acme", map[string]any{"hook": "sms"}, false, false},
		"hook all":                    {"acme", map[string]any{"hook": "all"}, true, true},
		"reseller, alone":             {"resale", map[string]any{}, false, false},
		"reseller with subaccounts":   {"resale", map[string]any{"include_subaccounts": true}, true, true},
		"master with subaccounts":     {"master", map[string]any{"include_subaccounts": true}, true, true},
		"subaccount with subaccounts": {"acme-north", map[string]any{"include_subaccounts": true}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for version, want := range map[string]bool{"4.3": tc.v43, "5": tc.v5} {
				r := newReceiver(t, answer(http.StatusOK))
				k := newKazoo(t, Options{Version: version, Speed: 1000})
				fields := map[string]any{"hook": "object", "uri": r.URL, "http_verb": "post", "format": "form-data"}
				for key, v := range tc.fields {
					fields[key] = v
				}
				id, err := k.CreateHook(tc.account, fields)
				if err != nil {
					t.Fatal(err)
				}
				deleteUser(t, k, "acme")
				idle(t, k)
				if got := len(r.got) == 1; got != want {
					t.Errorf("%s: fired %v, want %v", version, got, want)
				}
				if !want {
					continue
				}
				d := <-r.got
				hook := hookState(t, k, id)
				if d.header.Get("X-Account-Id") != hook.AccountID {
					t.Errorf("X-Account-ID %s is not the hook's %s", d.header.Get("X-Account-Id"), hook.AccountID)
				}
				contains(t, d.body, "account_id="+DefaultAccountID)
			}
		})
	}
}

func TestLifeOfAUser(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, answer(http.StatusOK))
	k := newKazoo(t, Options{Speed: 1000})
	for _, action := range []string{"doc_created", "doc_edited", "doc_deleted"} {
		mustHook(t, k, objectHook(r.URL+"/"+action, "custom_data", map[string]any{"type": "user", "action": action}))
	}
	mustHook(t, k, map[string]any{"hook": "notifications", "uri": r.URL + "/n", "http_verb": "post", "custom_data": map[string]any{"type": "new_user"}})
	if _, err := k.CreateUser(User{FirstName: "Ann", LastName: "Lee", AccountID: "acme-south"}); err != nil {
		t.Fatal(err)
	}
	idle(t, k)
	if len(r.got) != 0 {
		t.Fatal("a hook without include_subaccounts got a subaccount's event")
	}
	u, err := k.CreateUser(User{FirstName: "Ann", LastName: "Lee"})
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		name string
		do   func() error
		want string
	}{
		{"created", func() error { return nil }, "/doc_created /n"},
		{"edited", func() error { return k.EditObject(u.ID, map[string]any{"last_name": "Kim"}) }, "/doc_edited"},
		{"deleted", func() error { return k.DeleteUser(u.ID) }, "/doc_deleted"},
		{"saved deleted", func() error { return k.SaveDeleted(u.ID) }, "/doc_deleted"},
		{"undeleted", func() error { return k.Undelete(u.ID) }, "/doc_edited"},
		{"deleted again", func() error { return k.DeleteUser(u.ID) }, "/doc_deleted"},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatal(s.name, err)
		}
		idle(t, k)
		var got []string
		for len(r.got) > 0 {
			got = append(got, (<-r.got).target)
		}
		if len(got) == 2 && got[0] == "/n" {
			got[0], got[1] = got[1], got[0]
		}
		if strings.Join(got, " ") != s.want {
			t.Errorf("%s: %v, want %s", s.name, got, s.want)
		}
	}
	if err := k.DeleteUser(u.ID); err == nil {
		t.Error("deleted twice")
	}
	if deaths := k.Deleted("user"); len(deaths) != 1 || deaths[0].ID != u.ID || deaths[0].Name != "Ann Kim" {
		t.Errorf("truth: %+v", deaths)
	}
}

// The deletion of an account makes no events of its objects. On 5 it fires only the
// account's own hooks, not those of accounts above. Even hooks of version 1 then get
// the envelope of version 2, without account_id.
func TestAccountDeletion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string][]string{
		"4.3": {"id=5ab5", "&account_id=5ab5", "&action=doc_deleted&type=account&cluster_id="},
		"5":   {"action=event&name=doc_deleted&data[type]=account", "&data[id]=5ab5", "&timestamp="},
	} {
		r := newReceiver(t, answer(http.StatusOK))
		k := newKazoo(t, Options{Version: version, Speed: 1000, AccountEventsTwice: true})
		if _, err := k.SeedUsers("acme-north", 3); err != nil {
			t.Fatal(err)
		}
		above := newReceiver(t, answer(http.StatusOK))
		mustHook(t, k, map[string]any{"hook": "object", "uri": above.URL, "http_verb": "post", "format": "form-data", "include_subaccounts": true})
		if _, err := k.CreateHook("acme-north", map[string]any{"hook": "object", "uri": r.URL, "http_verb": "post"}); err != nil {
			t.Fatal(err)
		}
		if err := k.DeleteAccount("acme"); err == nil {
			t.Error("an account with sub-accounts was deleted")
		}
		if err := k.DeleteAccount("acme-north"); err != nil {
			t.Fatal(err)
		}
		idle(t, k)
		if len(r.got) != 2 {
			t.Fatalf("%s: %d events, want the account's, twice", version, len(r.got))
		}
		if silent := version == "5"; (len(above.got) == 0) != silent {
			t.Errorf("%s: %d events above", version, len(above.got))
		}
		d := <-r.got
		contains(t, d.body, want...)
		if version == "5" && strings.Contains(d.body, "account_id") {
			t.Error("account_id in", d.body)
		}
		if n := len(k.Deleted("user")); n != 3 {
			t.Errorf("truth knows %d deleted users", n)
		}
		if k.DeleteAccount("acme-north") == nil {
			t.Error("deleted twice")
		}
	}
}

func TestCreatedAccountsNotify(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, answer(http.StatusOK))
	k := newKazoo(t, Options{Speed: 1000})
	mustHook(t, k, map[string]any{"hook": "notifications", "uri": r.URL, "http_verb": "post", "include_subaccounts": true,
		"custom_data": map[string]any{"type": "all"}})
	id, err := k.CreateAccount(Account{Name: "branch"})
	if err != nil {
		t.Fatal(err)
	}
	idle(t, k)
	d := <-r.got
	// 4.3 keeps the type of custom_data.
	contains(t, d.body, "account_name=branch&account_api_key=", "&account_id="+id, "&event_name=new_account", "&type=all&cluster_id=")
	if _, err := k.CreateAccount(Account{Name: "branch"}); err == nil {
		t.Error("two accounts have the same name")
	}
	if _, err := k.CreateAccount(Account{Name: "x", Parent: "nobody"}); err == nil {
		t.Error("an account was created without a parent")
	}
}

// Every family of events reaches its hook, on both versions and in both envelopes.
func TestFamilies(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ version, envelope string }{{"4.3", "v1"}, {"5", "v1"}, {"5", "v2"}} {
		t.Run(tc.version+" "+tc.envelope, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, answer(http.StatusOK))
			k := newKazoo(t, Options{Version: tc.version, Speed: 1000})
			want := map[string]int{
				"channel_create": 2, "channel_answer": 1, "channel_bridge": 1, "channel_destroy": 2,
				"notifications": 4, "parking": 4, "sms": 1, "mms": 1,
			}
			if tc.version == "5" {
				want["cdr"], want["stream"] = 2, 2
			}
			for name := range want {
				mustHook(t, k, map[string]any{"hook": name, "uri": r.URL + "/" + name, "http_verb": "post",
					"format": "form-data", "version": tc.envelope})
			}
			for _, err := range []error{
				second(k.PlaceCall(Call{})), second(k.PlaceCall(Call{Unanswered: true})), k.LeaveVoicemail(""), k.MissCall(""),
				k.ReceiveFax(""), k.RecoverPassword(""), k.SendText("", "50% & more"), k.SendPicture("", "photo"), k.ParkCall("", true), k.ParkCall("", false),
				k.Stream(""),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			idle(t, k)
			got := map[string]int{}
			for len(r.got) > 0 {
				d := <-r.got
				got[strings.TrimPrefix(d.target, "/")]++
				if (tc.envelope == "v2") != strings.HasPrefix(d.body, "action=event&name=") {
					t.Error(d.body)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func second(_ string, err error) error { return err }

// A call's events have the fields of Kazoo's events, in the same order.
func TestChannelFieldsMatchVectors(t *testing.T) {
	t.Parallel()
	k := newKazoo(t, Options{})
	acc := k.logins[0].account
	fields := func(o *jobj) (names []string) {
		for _, f := range o.fields {
			if f.key != "local_resource_id" && f.key != "cluster_id" { // not every call has the first
				names = append(names, f.key)
			}
		}
		return names
	}
	for _, v := range vectors(t) {
		name := v.Expect.str("hook_event")
		if !strings.HasPrefix(v.Name, "k43_channel") {
			continue
		}
		got := k.channelEvent(k.channel(acc, Call{}), name).body
		if diff := cmp.Diff(fields(v.Expect), fields(got)); diff != "" {
			t.Errorf("%s: %s", v.Name, diff)
		}
	}
}
