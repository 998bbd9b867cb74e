package registration

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal/journaltest"
)

func testKeys(t *testing.T, dir string) *Keyring {
	t.Helper()
	k, err := OpenKeyring(dir, true, func(...string) {})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestFormats: the format and version of a hook, by settings and by Kazoo's offer.
func TestFormats(t *testing.T) {
	t.Parallel()
	specs := []Spec{{"object", "user", "doc_deleted"}, {"notifications", "all", ""}, {"notifications", "topup", ""}, {"notifications", "new_user", ""}}
	form, json, signed := "form-data v1", "json v1", "json v2"
	for name, tc := range map[string]struct {
		version, version2, format string
		keys                      bool
		want                      []string // of object, all, topup, new_user
	}{
		"4.3":                   {"4.3", "", FormatAuto, true, []string{form, json, json, form}},
		"4.3, nothing set":      {"4.3", "", "", true, []string{form, json, json, form}},
		"4.3, form":             {"4.3", "", FormatForm, true, []string{form, form, form, form}},
		"4.3, json":             {"4.3", "", FormatJSON, true, []string{json, json, json, json}},
		"5":                     {"5", fakekazoo.Version2Kept, FormatAuto, true, []string{signed, signed, signed, signed}},
		"5, json":               {"5", fakekazoo.Version2Kept, FormatJSON, true, []string{signed, signed, signed, signed}},
		"5, form":               {"5", fakekazoo.Version2Kept, FormatForm, true, []string{form, form, form, form}},
		"5, off":                {"5", fakekazoo.Version2Kept, FormatAuto, false, []string{form, json, json, form}},
		"5 drops version 2":     {"5", fakekazoo.Version2Dropped, FormatAuto, true, []string{form, json, json, form}},
		"5 refuses version 2":   {"5", fakekazoo.Version2Refused, FormatAuto, true, []string{form, json, json, form}},
		"5 refuses it, as JSON": {"5", fakekazoo.Version2Refused, FormatJSON, true, []string{json, json, json, json}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, fakekazoo.Options{Version: tc.version, Version2: tc.version2})
			var logged bytes.Buffer
			opts := reconcilerOptions("http://127.0.0.1:1", specs...)
			opts.Format, opts.InternalLegs, opts.Log = tc.format, true, zerolog.New(&logged)
			if tc.keys {
				opts.Keys = testKeys(t, t.TempDir())
			}
			r := NewReconciler(c.api, opts)
			for range 2 {
				if err := r.RunOnce(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			got := map[string]string{}
			for _, h := range c.hooks(t) {
				version := h.Version
				if version == "" {
					version = version1
				}
				got[h.Name] = h.Format + " " + version
				keys, _, _ := r.keysOf(h.ID)
				if isSigned := h.Version == version2; isSigned != (len(keys) == 1 && string(h.SecurityKey) == string(keys[0])) || isSigned != (h.SecurityKey != "") {
					t.Errorf("%s: %d keys", h.Name, len(keys))
				}
			}
			for i, s := range specs {
				if g := got["kazoohook "+s.String()]; g != tc.want[i] {
					t.Errorf("%s: %s, want %s", s, g, tc.want[i])
				}
			}
			changes, _, err := r.Plan(t.Context())
			if err != nil || len(changes) != 0 || len(got) != len(specs) {
				t.Errorf("%d hooks; planned again: %v, %v\n%s", len(got), summary(changes), err, &logged)
			}
			if strings.Contains(logged.String(), "doesn't store a setting") || opts.Keys != nil && strings.Contains(logged.String(), string(opts.Keys.Newest())) {
				t.Errorf("log:\n%s", &logged)
			}
		})
	}
}

// TestUnknownPayloadsAreJSON: a form isn't chosen for events that it may not carry, of
// the hook all and of other applications. Their events would be lost without a record.
func TestUnknownPayloadsAreJSON(t *testing.T) {
	t.Parallel()
	for spec, want := range map[Spec]string{
		{Hook: all}: FormatJSON, {"qubicle_queue", "joined", ""}: FormatJSON, {Hook: "qubicle_session"}: FormatJSON,
		{"notifications", "bill_reminder", ""}: FormatJSON, {"notifications", "new_user", ""}: FormatForm,
		{"object", all, all}: FormatForm, {Hook: "channel_create"}: FormatForm, {Hook: "channel_disconnected"}: FormatForm,
		{Hook: "parking"}: FormatForm, {Hook: "sms"}: FormatForm, {Hook: "mms"}: FormatForm, {Hook: "cdr"}: FormatForm, {"stream", all, ""}: FormatForm,
	} {
		if got := desired(spec)[0].Format; got != want {
			t.Errorf("%s: %s, want %s", spec, got, want)
		}
	}
}

func TestInternalLegs(t *testing.T) {
	t.Parallel()
	for version, known := range map[string]bool{"4.3": false, "5": true} {
		for _, want := range []bool{true, false} {
			c := newCluster(t, fakekazoo.Options{Version: version})
			opts := reconcilerOptions("http://127.0.0.1:1", Spec{Hook: "channel_create"})
			opts.InternalLegs = want
			r := NewReconciler(c.api, opts)
			if err := r.RunOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			switch legs := c.hooks(t)[0].InternalLegs; {
			case known && (legs == nil || *legs != want), !known && legs != nil:
				t.Errorf("%s: %v", version, legs)
			}
			if changes, _, err := r.Plan(t.Context()); err != nil || len(changes) != 0 {
				t.Errorf("%s: %v, %v", version, summary(changes), err)
			}
		}
	}
}

// TestChangeToVersion2: existing hooks are changed. That is announced, plan shows it, and
// it is no outage. A new key is an update, too, and both keys are accepted.
func TestChangeToVersion2(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{Version: "5"})
	j := openJournal(t, journaltest.MemoryDir(t), nil)
	dir := t.TempDir()
	logged := &logBuffer{}
	var e *Engine
	start := func(keys *Keyring) (stop func()) {
		opts := reconcilerOptions("http://127.0.0.1:1")
		opts.Interval, opts.Log, opts.Keys, opts.InternalLegs = 50*time.Millisecond, zerolog.New(logged), keys, true
		e = NewEngine(c.client(t), j, opts, RecoverOptions{}, ResyncOptions{}, EngineOptions{ResyncInterval: time.Second, Settle: 10 * time.Millisecond, Log: opts.Log})
		e.proofs.interval = time.Hour // a pass that a busy machine delays makes no outage
		stop = run(t, e)
		eventually(t, "proven", func() bool { return e.proofs.proven() })
		return stop
	}
	stop := start(nil)
	stop()
	id := c.hooks(t)[0].ID
	keysOf := func(id string) [][]byte {
		keys, _, signed := e.Keys(id)
		if !signed {
			return nil
		}
		return keys
	}
	if keysOf(id) != nil {
		t.Error("keys of a hook that has none")
	}
	keys := testKeys(t, dir)
	opts := reconcilerOptions("http://127.0.0.1:1")
	opts.Keys, opts.InternalLegs = keys, true
	changes, _, err := NewReconciler(c.api, opts).Plan(t.Context())
	if err != nil || len(changes) != 1 || changes[0].Kind != Update || !strings.Contains(summary(changes)[0], "version:v1>v2") || !strings.Contains(summary(changes)[0], "security_settings:>***") {
		t.Fatalf("%v, %v", summary(changes), err)
	}
	stop = start(keys)
	first := keys.Newest()
	if got := keysOf(id); len(got) != 1 || string(got[0]) != string(first) {
		t.Errorf("%d keys", len(got))
	}
	// By another process, while this one runs.
	other := testKeys(t, dir)
	if err := other.Rotate(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the hook has the new key", func() bool { return c.hooks(t)[0].SecurityKey == other.Newest() && len(keysOf(id)) == 2 })
	if got := keysOf(id); string(got[0]) != string(other.Newest()) || string(got[1]) != string(first) {
		t.Error("the keys aren't the new one and the old one")
	}
	stop()
	if n := e.Outages(); n != 1 || strings.Contains(logged.String(), "was changed in Kazoo") || strings.Contains(logged.String(), "changed it back") {
		t.Errorf("%d outages, want that of the restart:\n%s", n, logged)
	}
	if !strings.Contains(logged.String(), "this Kazoo signs requests") || strings.Contains(logged.String(), string(first)) {
		t.Errorf("log:\n%s", logged)
	}
	// Requests may come before the first pass of a new process.
	e = NewEngine(c.client(t), j, opts, RecoverOptions{}, ResyncOptions{}, EngineOptions{})
	e.Resume(t.Context())
	if len(keysOf(id)) != 2 || keysOf("another") != nil {
		t.Error("no keys right after a start")
	}
}

// TestSignedSinceOutlivesTheProcess: since when a hook has a key is known after a restart,
// before and after its first pass, and to a process that doesn't reconcile. It is that of
// the hook's id: a hook that is created again gets a time of its own.
func TestSignedSinceOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{Version: "5"})
	j := openJournal(t, journaltest.MemoryDir(t), nil)
	opts := reconcilerOptions("http://127.0.0.1:1")
	opts.Interval, opts.Keys, opts.InternalLegs = 20*time.Millisecond, testKeys(t, t.TempDir()), true
	engine := func() *Engine {
		return NewEngine(c.client(t), j, opts, RecoverOptions{}, ResyncOptions{}, EngineOptions{Settle: time.Millisecond})
	}
	e := engine()
	begun := time.Now()
	stop := run(t, e)
	eventually(t, "proven", func() bool { return e.proofs.proven() })
	id := c.hooks(t)[0].ID
	keys, first, _ := e.Keys(id)
	eventually(t, "the time in the journal", func() bool { at, signed := Signed(t.Context(), j).Since(id); return signed && at.Equal(first) })
	stop()
	if len(keys) != 1 || first.Before(begun) || first.After(time.Now()) {
		t.Fatalf("%d keys since %v, want one since %v", len(keys), first, begun)
	}

	e = engine()
	e.Resume(t.Context())
	if keys, at, signed := e.Keys(id); len(keys) != 1 || !signed || !at.Equal(first) {
		t.Errorf("right after a restart: %d keys since %v, want one since %v", len(keys), at, first)
	}
	if keys, at, signed := e.Keys("another"); len(keys) != 1 || signed || !at.Equal(first) {
		t.Errorf("a hook that isn't known yet: %d keys, signed %v, the first hook since %v, want %v", len(keys), signed, at, first)
	}
	if keys, at, signed := e.Keys(""); keys != nil || signed || !at.Equal(first) {
		t.Errorf("no hook: %d keys, signed %v, the first hook since %v, want %v", len(keys), signed, at, first)
	}
	stop = run(t, e)
	defer stop()
	eventually(t, "a pass", func() bool { return e.Reconciler.Status().Runs > 0 })
	if _, at, _ := e.Keys(id); !at.Equal(first) {
		t.Errorf("after a pass of the new process: since %v, want %v", at, first)
	}
	if err := c.api.DeleteHook(t.Context(), c.AccountID(), id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the hook is registered again", func() bool { hooks := c.hooks(t); return len(hooks) == 1 && hooks[0].ID != id })
	again := c.hooks(t)[0].ID
	eventually(t, "its key", func() bool { _, at, signed := e.Keys(again); return signed && at.After(first) })
}

func TestSignedHooksSince(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	hooks := SignedHooks{"old": {Signed: true}, "first": {true, at}, "second": {true, at.Add(time.Hour)}, "bare": {}} // an older version kept no time of "old"
	opts := reconcilerOptions("http://127.0.0.1:1")
	opts.Keys = testKeys(t, t.TempDir())
	for id, want := range map[string]struct {
		since  time.Time
		signed bool
		keys   int
	}{"old": {time.Time{}, true, 1}, "first": {at, true, 1}, "second": {at.Add(time.Hour), true, 1}, "bare": {time.Time{}, false, 1}, "none": {at, false, 1}, "": {at, false, 0}} {
		if keys, since, signed := opts.Keys.Of(hooks, id); !since.Equal(want.since) || signed != want.signed || len(keys) != want.keys {
			t.Errorf("%q: %d keys since %v, signed %v", id, len(keys), since, signed)
		}
	}
	if keys, _, _ := opts.Keys.Of(SignedHooks{"bare": {}}, "bare"); keys != nil {
		t.Error("keys, although no hook has any")
	}
	if since, signed := SignedHooks(nil).Since("none"); !since.IsZero() || signed {
		t.Errorf("no hook has a key: since %v, signed %v", since, signed)
	}
	// The next pass gives "old" a time, and keeps that of the others. "bare", whose
	// settings can't be read, is as it was; of another such hook nothing is known.
	r := NewReconciler(nil, opts)
	r.setSigned(hooks)
	key := opts.Keys.Newest()
	r.stuck = map[string]stuckHook{"bare": {unread: true}, "new": {unread: true}}
	r.noteSigned([]crossbar.Hook{{ID: "old", Version: version2, SecurityKey: key}, {ID: "first", Version: version2, SecurityKey: key}, {ID: "second"}, {ID: "bare"}, {ID: "new"}})
	got := r.signedHooks()
	_, second := got["second"]
	_, known := got["new"]
	if got["old"].Since.IsZero() || !got["first"].Since.Equal(at) || !second || got["second"].Signed || got["bare"].Signed || known || len(got) != 4 {
		t.Errorf("after a pass: %v", got)
	}
	r.nowSigned(crossbar.Hook{ID: "second", Version: version2, SecurityKey: key})
	r.nowSigned(crossbar.Hook{ID: "new", Version: version1})
	if got := r.signedHooks(); !got["second"].Signed || got["second"].Since.IsZero() || got["new"].Signed || len(got) != 5 {
		t.Errorf("after writing: %v", got)
	}
}

// TestRefusedForAnotherReason: a refusal for a reason other than the version doesn't mean
// that Kazoo lacks version 2.
func TestRefusedForAnotherReason(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{Version: "5", RefuseLoopback: true})
	opts := reconcilerOptions("http://127.0.0.1:1")
	opts.Keys = testKeys(t, t.TempDir())
	r := NewReconciler(c.api, opts)
	if err := r.RunOnce(t.Context()); err == nil || r.version2 != versionUntried {
		t.Errorf("%v, %v", err, r.version2)
	}
}
