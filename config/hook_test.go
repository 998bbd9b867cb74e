package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseHook(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Hook{
		"object":                  {"object", "all", "all"},
		"object:user":             {"object", "user", "all"},
		"object:user:doc_deleted": {"object", "user", "doc_deleted"},
		"object:all:doc_created":  {"object", "all", "doc_created"},
		"notifications":           {"notifications", "all", ""},
		"notifications:new_user":  {"notifications", "new_user", ""},
		"stream:all":              {"stream", "all", ""},
		"channel_create":          {"channel_create", "", ""},
		"channel_disconnected":    {"channel_disconnected", "", ""},
		"parking":                 {"parking", "", ""},
		"all":                     {"all", "", ""},
		"cdr":                     {"cdr", "", ""},
		"qubicle_queue":           {"qubicle_queue", "", ""},
		"qubicle_queue:all:added": {"qubicle_queue", "all", "added"},
	} {
		got, err := ParseHook(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func FuzzHooks(f *testing.F) {
	for _, seed := range []string{
		"object:user:doc_deleted", "object", "object:user,object:user:doc_created", "notifications:new_user,sms", "channel_", ":", ",", "object::",
		"all,all", "stream:start:x", "object:all:doc_deleted,object:user",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var hooks Hooks
		if err := hooks.UnmarshalText([]byte(text)); err != nil {
			if hooks != nil {
				t.Errorf("set in spite of %v", err)
			}
			for _, err := range splitErrors(err) {
				if err.Error() == "" {
					t.Error("an empty problem")
				}
			}
			return
		}
		// Accepted hooks survive printing, and no two bring the same event.
		var again Hooks
		if err := again.UnmarshalText([]byte(hooks.String())); err != nil {
			t.Fatalf("%s: %v", hooks, err)
		}
		if diff := cmp.Diff(hooks, again); diff != "" {
			t.Error(diff)
		}
		for i, a := range hooks {
			for _, b := range hooks[:i] {
				if a.overlaps(b) {
					t.Errorf("%s overlaps %s", a, b)
				}
			}
		}
	})
}
