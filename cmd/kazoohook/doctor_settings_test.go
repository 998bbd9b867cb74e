package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kazoohook/config"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal"
	"kazoohook/internal/redact"
)

// doctorWith returns a doctor for an environment. Of several equal names, the last
// counts.
func doctorWith(t *testing.T, environ ...any) *doctor {
	t.Helper()
	e := &env{}
	for _, v := range environ {
		switch v := v.(type) {
		case []string:
			e.environ = append(e.environ, v...)
		case string:
			e.environ = append(e.environ, v)
		}
	}
	return newDoctor(e.loadPartly(need(config.All)), &redact.Redactor{}, time.Second)
}

// TestStandIns: if one variable is wrong, the others are still usable.
func TestStandIns(t *testing.T) {
	t.Parallel()
	complete := []string{
		"KAZOO_API_URL=https://kazoo.example.com:8443", "KAZOO_USERNAME=reception", "KAZOO_PASSWORD=correct horse",
		"KAZOO_ACCOUNT_NAME=Example", "PUBLIC_URL=https://hooks.example.com", "DATA_DIR=" + t.TempDir(),
	}
	for _, v := range config.Variables() {
		d := doctorWith(t, complete, v.Name+"=\x7f")
		if d.cfg == nil {
			t.Errorf("%s: nothing is left of the configuration: %v", v.Name, d.problems)
			continue
		}
		if len(d.problems) == 0 { // any text is valid for this variable
			continue
		}
		login := slices.Contains(loginVariables(), v.Name)
		if !d.bad[v.Name] || login != d.bad[loginVariable] {
			t.Errorf("%s: marked are %v", v.Name, d.bad)
		}
		for _, name := range []string{"KAZOO_API_URL", "PUBLIC_URL", "HOOKS"} {
			if d.bad[name] && v.Name != name {
				t.Errorf("%s makes %s unusable: %v", v.Name, name, d.problems)
			}
		}
	}
	for name, environ := range map[string][]string{
		"nothing given":   nil,
		"everything open": {"ADMIN_ADDR=:9090", "LISTEN_ADDR=:9090", "ADMIN_TOKEN=short"},
		"two secrets":     {"HOOK_SECRET=a", "HOOK_SECRET_PREVIOUS=a", "HOOK_SECRET_FILE=/nonexistent"},
		"no file":         {"KAZOOHOOK_CONFIG=/nonexistent", "KAZOO_PASSWORD_FILE=/nonexistent"},
	} {
		d := doctorWith(t, environ)
		found, usable := d.checkSettings(t.Context())
		if d.cfg == nil || !usable || len(found) == 0 || found[0].Status != statusFail {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

// TestConfigurationFileWrong: a setting that only the broken file has is not guessed.
func TestConfigurationFileWrong(t *testing.T) {
	t.Parallel()
	p := newPatient(t, fakekazoo.Options{}).register(t)
	file := filepath.Join(t.TempDir(), "kazoohook.yaml")
	put(t, file, "hook: "+marked+"\nhook_secret: "+p.env["HOOK_SECRET"]+"\ndata_dir: "+p.env["DATA_DIR"])
	p.env["KAZOOHOOK_CONFIG"] = file
	delete(p.env, "DATA_DIR")
	delete(p.env, "HOOK_SECRET")
	d := doctorWith(t, p.world(nil, nil).environ)
	if wrong := d.wrong([]string{"DATA_DIR", "HOOK_SECRET", "PUBLIC_URL", "KAZOO_USERNAME"}); !slices.Equal(wrong, []string{"DATA_DIR", "HOOK_SECRET"}) {
		t.Errorf("wrong: %v of %v", wrong, d.problems)
	}
}

// TestHangingCheck: doctor doesn't wait for a check that ignores its context.
func TestHangingCheck(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	found, usable := within(t.Context(), time.Millisecond, func(context.Context) ([]finding, bool) {
		<-release
		return nil, true
	})
	if usable || len(found) != 1 || found[0].Status != statusFail || !strings.Contains(found[0].Found, "no result within") {
		t.Errorf("%t %+v", usable, found)
	}
}

// TestDoctorBesideJournal: doctor doesn't open the journal of a running service.
func TestDoctorBesideJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, err := journal.Open(t.Context(), journal.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	d := doctorWith(t, "DATA_DIR="+dir)
	d.running.Store(true)
	found, usable := d.checkJournal(t.Context())
	if !usable || found[0].Status != statusOK || !strings.Contains(found[0].Found, "in use by the running service") {
		t.Errorf("%+v", found)
	}
	if err := errors.Join(j.Health(), j.Close()); err != nil {
		t.Error(err)
	}
	d.running.Store(false)
	if found, _ = d.checkJournal(t.Context()); found[0].Status != statusOK {
		t.Errorf("after the end: %+v", found)
	}
	path := filepath.Join(dir, journal.FileName)
	put(t, path, "no database")
	if found, usable = d.checkJournal(t.Context()); usable || !strings.Contains(found[0].Advice, "move "+path+"* away") {
		t.Errorf("damaged: %+v", found)
	}
	put(t, path+"-wal", "the newest changes")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if found, usable = d.checkJournal(t.Context()); usable || !strings.Contains(found[0].Found, "put "+path+" back") {
		t.Errorf("only SQLite's log: %+v", found)
	}
}

func TestManyHooks(t *testing.T) {
	t.Parallel()
	var l hookFindings
	for i := range 7 {
		l.add("kazoohook object user "+strconv.Itoa(i), "", broken("do", "not registered"))
	}
	l.add("kazoohook sms", "id", warned("do", "one too many"))
	got := l.list()
	if len(got) != 2 || !strings.HasPrefix(got[0].Found, `7 hooks not registered: "kazoohook object user 0", `) ||
		!strings.HasSuffix(got[0].Found, `"kazoohook object user 4" and 2 more`) || got[1].Found != `one too many: hook "kazoohook sms" (id)` {
		t.Errorf("%+v", got)
	}
}

func TestDecodeSample(t *testing.T) {
	t.Parallel()
	for sample, want := range map[string]string{
		`{"id":"1","account_id":"2","action":"doc_deleted","type":"user"}`: "",
		`{"action":"dance"}`: "names a known event",
		`[]`:                 "not a JSON object",
	} {
		got := decodeSample("webhooks_object", json.RawMessage(sample))
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", sample, got)
		}
	}
	if got := decodeSample("webhooks_qubicle_queue", json.RawMessage(`{"action":"dance"}`)); got != "" {
		t.Errorf("another application's hook: %q", got)
	}
}

func TestRedactor(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.KazooPassword, cfg.AdminToken = config.NewSecret("abc d9"), config.NewSecret("abc d9 and more")
	cfg.KazooAPIKey = config.NewSecret(`quo"te<>`)
	d := &doctor{secrets: redact.New("generated-1")}
	learnSecrets(d.secrets, cfg)
	for text, want := range map[string]string{
		"with abc d9 and more":                       "with ***",
		"abc+d9, abc%20d9,\r\n\x1b[31m generated-1":  `***, ***, \u001b[31m ***`,
		"https://u:p@h.example/kazoo/unknown/object": "https://***@h.example/kazoo/***/object",
		"https%3A%2F%2Fh%2Fkazoo%2Funknown%2Fobject": "https%3A%2F%2Fh%2Fkazoo%2F***%2Fobject",
		"https://h/kazoo/kazoo/unknown/object":       "https://h/kazoo/kazoo/***/object",
		`["quo\"te<>","quo\"te\u003c\u003e"]`:        `["***","***"]`,
		"/etc/kazoohook/hook_secret":                 "/etc/kazoohook/hook_secret",
	} {
		if got := d.clean(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestDoctorDNS(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // in case no DNS answers
	defer cancel()
	for url, status := range map[string]string{
		"http://10.1.2.3":                "warn a private network",
		"http://100.64.0.1:8080":         "warn a private network",
		"http://169.254.1.1":             "warn a private network",
		"https://203.0.113.5/base":       "ok is an IPv4 address",
		"https://kazoohook.invalid:8443": "fail kazoohook.invalid",
	} {
		d := doctorWith(t, "PUBLIC_URL="+url)
		found, _ := d.checkDNS(ctx)
		want(t, map[string][]finding{"public": found}, map[string][]string{"public": {status}})
	}
}

// TestSQLiteFile distinguishes databases from other files.
func TestSQLiteFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for content, fits := range map[string]bool{"": true, "SQLite": false, "SQLite format 3\x00...": true, "something else than it": false} {
		path := filepath.Join(dir, "f")
		put(t, path, content)
		if err := sqliteFile(path); (err == nil) != fits {
			t.Errorf("%q: %v", content, err)
		}
	}
	if err := sqliteFile(dir); err == nil {
		t.Error("a directory passes")
	}
	if err := sqliteFile(filepath.Join(dir, "none")); err == nil || strings.Contains(err.Error(), dir) {
		t.Errorf("missing: %v", err)
	}
	if existing(filepath.Join(dir, "a", "b")) != dir {
		t.Error("the nearest directory is another")
	}
}
