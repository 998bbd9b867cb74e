package registration

import (
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal/journaltest"
)

// TestHiddenSpecs: where deletions are watched, creations and edits are watched, too.
func TestHiddenSpecs(t *testing.T) {
	t.Parallel()
	user := func(action string) Spec { return Spec{"object", "user", action} }
	for name, tc := range map[string]struct{ specs, want []Spec }{
		"deleted users":        {[]Spec{user("doc_deleted")}, []Spec{user("doc_created"), user("doc_edited"), switchedOff()}},
		"all of users":         {[]Spec{user(all)}, []Spec{switchedOff()}},
		"deleted and edited":   {[]Spec{user("doc_deleted"), user("doc_edited")}, []Spec{user("doc_created"), switchedOff()}},
		"created only":         {[]Spec{user("doc_created")}, []Spec{switchedOff()}},
		"not to be listed":     {[]Spec{{"object", "fax", "doc_deleted"}}, []Spec{switchedOff()}},
		"everything":           {[]Spec{{Hook: all}}, nil},
		"all notifications":    {[]Spec{{"notifications", all, ""}}, nil},
		"that notification":    {[]Spec{switchedOff()}, nil},
		"another notification": {[]Spec{{"notifications", "new_user", ""}}, []Spec{switchedOff()}},
		"deletions of everything": {[]Spec{{"object", all, "doc_deleted"}}, func() (out []Spec) {
			for _, typ := range []string{"account", "user", "callflow", "device", "faxbox", "media", "vmbox"} {
				out = append(out, Spec{"object", typ, "doc_created"}, Spec{"object", typ, "doc_edited"})
			}
			return append(out, switchedOff())
		}()},
	} {
		if got := HiddenSpecs(tc.specs); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// TestHidden: an event that only the snapshot needs, and HOOKS doesn't name, is hidden.
func TestHidden(t *testing.T) {
	t.Parallel()
	deleted := []Spec{{"object", "user", "doc_deleted"}}
	disabled := "event_name=webhook_disabled&event_category=notification&account_id=acc&hook_id=h1&msg_id=m1"
	for name, tc := range map[string]struct {
		specs      []Spec
		hook, body string
		want       bool
	}{
		"creation":                   {deleted, "object", "id=u1&account_id=acc&action=doc_created&type=user", true},
		"edit":                       {deleted, "object", "id=u1&account_id=acc&action=doc_edited&type=user", true},
		"deletion":                   {deleted, "object", "id=u1&account_id=acc&action=doc_deleted&type=user", false},
		"another type":               {deleted, "object", "id=u1&account_id=acc&action=doc_created&type=device", false},
		"named":                      {[]Spec{{"object", "user", all}}, "object", "id=u1&account_id=acc&action=doc_created&type=user", false},
		"not to be listed":           {[]Spec{{"object", "fax", "doc_deleted"}}, "object", "id=u1&account_id=acc&action=doc_created&type=fax", false},
		"not understood":             {deleted, "object", "what is this", false},
		"a switch-off":               {deleted, "notifications", disabled, true},
		"a switch-off that is named": {[]Spec{{"notifications", all, ""}}, "notifications", disabled, false},
		"another notification":       {deleted, "notifications", "event_name=new_user&event_category=notification&account_id=acc&msg_id=m2", false},
	} {
		rec := event.Route(event.Request{Source: event.SourceWebhook, ReceivedAt: time.Now(), Hook: tc.hook, HookID: "h1", Method: "POST",
			ContentType: "application/x-www-form-urlencoded", Body: []byte(tc.body)})
		if got := Hidden(tc.specs, &rec); got != tc.want {
			t.Errorf("%s (%s): hidden %v, want %v", name, rec.Event, got, tc.want)
		}
	}
}

// TestHiddenHooksAreRegistered: hidden hooks are planned, checked and unregistered like
// any other. The hook for webhook_disabled doesn't count for readiness.
func TestHiddenHooksAreRegistered(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"4.3", "5"} { // 5 shows webhook_disabled to superadmins only
		c := newCluster(t, fakekazoo.Options{Version: version})
		opts := reconcilerOptions("http://127.0.0.1:1")
		opts.Hidden = HiddenSpecs(opts.Specs)
		r := NewReconciler(c.api, opts)
		changes, problems, err := r.Plan(t.Context())
		if err != nil || len(problems) != 0 {
			t.Fatal(err, problems)
		}
		purposes := map[string]int{}
		for _, c := range changes {
			purposes[c.Purpose]++
		}
		if purposes[""] != 1 || purposes[forSnapshot] != 2 || len(changes) != 4 {
			t.Errorf("%s: planned %v", version, summary(changes))
		}
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, h := range r.Status().Hooks {
			if err := c.DisableHook(h.ID, "by hand"); err != nil {
				t.Fatal(err)
			}
			r.observe(t.Context(), nil, nil)
			if _, err := r.actual(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			if err := r.RunOnce(t.Context()); err != nil || r.Status().Repairs == 0 {
				t.Errorf("%s: %s was not repaired: %v", version, h.Name, err)
			}
		}
		if removed, err := r.Unregister(t.Context()); err != nil || len(removed) != len(changes) || len(c.hooks(t)) != 0 {
			t.Errorf("%s: unregistered %v, %v", version, summary(removed), err)
		}
	}
	s := Status{OKAt: time.Now(), Hooks: []HookStatus{{Name: "a", ID: "1", Enabled: true}, {Name: "b", Purpose: forRepair}}}
	if ok, why := s.Ready(); !ok || !s.Firing() {
		t.Errorf("not ready without the hook for switch-offs: %s", why)
	}
	s.Hooks[1].Purpose = forSnapshot
	if ok, _ := s.Ready(); ok || s.Firing() {
		t.Error("ready without a hook for the snapshot")
	}
}

// TestUndoneBetweenTwoPasses: the revision shows that a hook was off and is on again,
// or was changed and changed back.
func TestUndoneBetweenTwoPasses(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{Version: "5"})
	j := openJournal(t, journaltest.MemoryDir(t), nil)
	logged := &logBuffer{}
	opts := reconcilerOptions("http://127.0.0.1:1")
	opts.Interval, opts.Log = time.Hour, zerolog.New(logged)
	e := NewEngine(c.api, j, opts, RecoverOptions{}, ResyncOptions{}, EngineOptions{ResyncInterval: time.Second, Settle: time.Millisecond, Log: opts.Log})
	stop := run(t, e)
	defer stop()
	proven := e.proofs.proven
	eventually(t, "proven", proven)
	for i := range 3 {
		h := c.hooks(t)[0]
		switch i {
		case 0:
			if err := c.DisableHook(h.ID, "by hand"); err != nil {
				t.Fatal(err)
			}
			if _, err := c.api.EnableHook(t.Context(), c.AccountID(), h.ID); err != nil {
				t.Fatal(err)
			}
		case 1:
			uri := h.URI
			for _, u := range []string{"http://127.0.0.1:2/", uri} {
				h.URI = u
				if _, err := c.api.ReplaceHook(t.Context(), c.AccountID(), h); err != nil {
					t.Fatal(err)
				}
			}
		}
		want := min(i+1, 2) // the last time nothing happened
		runs := e.Reconciler.Status().Runs
		e.ReconcileNow()
		eventually(t, "a pass, and its outage", func() bool { return e.Reconciler.Status().Runs > runs && e.Outages() == want && proven() })
	}
}

// TestListingOfHooksLags: the listing may lack a new hook, or show an old state. The
// hook isn't created twice, and it is enabled after it was disabled.
func TestListingOfHooksLags(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{ViewLag: time.Hour, LaggingViews: []string{"webhooks"}})
	j := openJournal(t, journaltest.MemoryDir(t), nil)
	opts := reconcilerOptions("http://127.0.0.1:1")
	engine := func() *Engine {
		return NewEngine(c.api, j, opts, RecoverOptions{}, ResyncOptions{}, EngineOptions{})
	}
	e := engine()
	for range 3 {
		if err := e.Reconciler.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.proofs.save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.DisableHook(c.Hooks()[0].ID, "by hand"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time by a new process
		if err := e.Reconciler.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		e = engine()
	}
	if hooks := c.Hooks(); len(hooks) != 1 || !hooks[0].Enabled {
		t.Errorf("hooks: %+v", hooks)
	}
}
