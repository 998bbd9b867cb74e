package registration

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/journal/journaltest"
)

// TestHooksFromBeforeAnUpgrade: hooks that 4.3 saved read back from Kazoo 5 without the
// fields that it adds when it saves. They are signed nevertheless, and fields that Kazoo
// doesn't know are tried with one save in a run. There is no outage but that of the start.
func TestHooksFromBeforeAnUpgrade(t *testing.T) {
	t.Parallel()
	save := map[string]func(*crossbar.Hook){
		"4.3": func(h *crossbar.Hook) { h.Version, h.SecurityKey, h.InternalLegs = "", "", nil },
		"5": func(h *crossbar.Hook) {
			if legs := true; h.InternalLegs == nil {
				h.InternalLegs = &legs
			}
		},
	}
	specs := []Spec{{"object", "user", "doc_deleted"}, {Hook: "channel_create"}}
	for name, tc := range map[string]struct {
		version string
		legs    bool // wanted
		keys    bool
		moved   bool // and the hooks have an old address
		saves   int
		signed  bool
	}{
		"still 4.3":                         {"4.3", true, true, false, 1, false},
		"still 4.3, without internal legs":  {"4.3", false, false, false, 1, false},
		"5":                                 {"5", true, true, false, 3, true},
		"5, without internal legs":          {"5", false, false, false, 3, false},
		"5, nothing that 4.3 doesn't offer": {"5", true, false, false, 0, false},
		"still 4.3, moved":                  {"4.3", true, true, true, 2, false},
		"5, moved":                          {"5", false, true, true, 4, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &stub{attemptLog: &attemptLog{now: time.Now}, keeps: save[tc.version]}
			opts := reconcilerOptions(testURL, specs...)
			for i, h := range opts.Hooks(specs, false) {
				h.ID = fmt.Sprint("h", i)
				save["4.3"](&h)
				if tc.moved {
					h.URI = "http://old.example.com/kazoo/" + testSecret
				}
				s.hooks = append(s.hooks, h)
			}
			opts.InternalLegs = tc.legs
			if tc.keys {
				opts.Keys = testKeys(t, t.TempDir())
			}
			var logged bytes.Buffer
			opts.Log = zerolog.New(&logged)
			e := NewEngine(s, openJournal(t, journaltest.MemoryDir(t), nil), opts, RecoverOptions{}, ResyncOptions{}, EngineOptions{})
			for range 3 {
				if err := e.Reconciler.RunOnce(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if e.Outages() > 1 || strings.Contains(logged.String(), "doesn't store a setting") {
				t.Errorf("%d outages, log:\n%s", e.Outages(), &logged)
			}
			if s.replaced != tc.saves {
				t.Errorf("%d saves, want %d", s.replaced, tc.saves)
			}
			for _, h := range s.hooks {
				if (h.Version == version2 && h.SecurityKey != "") != tc.signed || tc.version == "5" && !tc.legs && (h.InternalLegs == nil || *h.InternalLegs) {
					t.Errorf("%+v", h)
				}
			}
			if changes, problems, err := e.Reconciler.Plan(t.Context()); err != nil || len(changes)+len(problems) != 0 {
				t.Errorf("planned again: %v, %v, %v", summary(changes), problems, err)
			}
		})
	}
}

// TestSaveThatFailsIsNotRepeated: the save that shows what Kazoo offers is no error if
// Kazoo can't save, and isn't repeated at each check.
func TestSaveThatFailsIsNotRepeated(t *testing.T) {
	t.Parallel()
	s := &unsaving{stub: &stub{attemptLog: &attemptLog{now: time.Now}}}
	now := newClock()
	opts := reconcilerOptions(testURL)
	h := opts.Hooks(opts.Specs, false)[0]
	h.ID, h.InternalLegs = "h1", nil
	s.hooks = append(s.hooks, h)
	opts.Keys, opts.Now = testKeys(t, t.TempDir()), now.now
	r := NewReconciler(s, opts)
	for range 5 {
		if err := r.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s.tries != 1 {
		t.Errorf("%d saves, want 1", s.tries)
	}
	now.add(2 * time.Hour)
	if err := r.RunOnce(t.Context()); err != nil || s.tries != 2 {
		t.Errorf("%d saves two hours later, want 2; %v", s.tries, err)
	}
}

// unsaving is a Kazoo that can't save a hook.
type unsaving struct {
	*stub
	tries int
}

func (u *unsaving) ReplaceHook(context.Context, string, crossbar.Hook) (crossbar.Hook, error) {
	u.tries++
	return crossbar.Hook{}, &crossbar.Error{Op: "hooks.replace", Status: http.StatusServiceUnavailable}
}
