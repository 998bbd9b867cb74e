package main

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // Kazoo's credentials
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kazoohook/config"
	"kazoohook/handlers"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal"
)

// marked is in every secret of a patient. doctor must not print it.
const marked = "MARKED"

// ample is enough time for every check that doesn't hang.
const ample = time.Minute

// patient is a healthy deployment for doctor to examine: a fake Kazoo, a service that
// answers, registered hooks.
type patient struct {
	*fakekazoo.Kazoo
	env     map[string]string
	checks  []handlers.Check // what the service says about itself
	timeout time.Duration    // of a check
}

func newPatient(t *testing.T, o fakekazoo.Options) *patient {
	t.Helper()
	o.Password, o.BucketsOff, o.Speed = marked+"-password", true, 50
	p := &patient{Kazoo: fakekazoo.New(o), checks: []handlers.Check{{Name: "hooks", OK: true}}, timeout: ample}
	t.Cleanup(p.Close)
	common := handlers.Common{Ready: func(context.Context) []handlers.Check { return p.checks }}
	public, admin := handlers.Public(handlers.PublicDeps{Common: common}), handlers.Admin(handlers.AdminDeps{Common: common})
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(t.Context(), journal.Options{Dir: dir})
	if err := errors.Join(err, j.Close()); err != nil {
		t.Fatal(err)
	}
	p.env = map[string]string{
		"KAZOO_API_URL": serve(t, p.API()), "KAZOO_USERNAME": fakekazoo.DefaultUsername, "KAZOO_PASSWORD": marked + "-password",
		"KAZOO_ACCOUNT_NAME": "acme", "KAZOO_API_RATE": "10",
		"PUBLIC_URL": serve(t, public), "HOOK_SECRET": marked + "-hook-secret-0123", "HOOK_SECRET_PREVIOUS": marked + "-former-secret-01",
		"ADMIN_TOKEN": marked + "-admin-token-012", "DATA_DIR": dir,
	}
	p.env["LISTEN_ADDR"] = strings.TrimPrefix(p.env["PUBLIC_URL"], "http://")
	p.env["ADMIN_ADDR"] = strings.TrimPrefix(serve(t, admin), "http://")
	return p
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// closed is an address at which nothing listens, and no program will by chance.
const closed = "127.0.0.1:1"

func (p *patient) world(stdout, stderr io.Writer) *env {
	e := &env{stdout: stdout, stderr: stderr}
	for k, v := range p.env {
		e.environ = append(e.environ, k+"="+v)
	}
	return e
}

// register registers the hooks as a service would.
func (p *patient) register(t *testing.T) *patient {
	t.Helper()
	c := registerCmd{answerTimeout: answerTimeout{limitFlag(time.Minute)}, settings: need(byHand)}
	if err := c.Run(t.Context(), p.world(io.Discard, io.Discard)); err != nil {
		t.Fatalf("register: %v", err)
	}
	return p
}

// examine runs doctor and returns its output. It checks that the output has no secret,
// and that doctor changed nothing.
func (p *patient) examine(t *testing.T, format string) (stdout string, err error) {
	t.Helper()
	hooks, sessions, files := p.Hooks(), p.Sessions(), list(t, filepath.Dir(p.env["DATA_DIR"]))
	var out, stderr bytes.Buffer
	c := doctorCmd{Format: format, Timeout: limitFlag(p.timeout), settings: need(config.All)}
	err = c.Run(t.Context(), p.world(&out, &stderr))
	report(&stderr, err)
	sum := md5.Sum([]byte(p.env["KAZOO_USERNAME"] + ":" + p.env["KAZOO_PASSWORD"])) //nolint:gosec // Kazoo's credentials
	for _, secret := range []string{marked, hex.EncodeToString(sum[:]), "eyJ"} {
		if strings.Contains(out.String()+stderr.String(), secret) {
			t.Errorf("%q of a secret was printed:\n%s%s", secret, &out, &stderr)
		}
	}
	forgetful := cmpopts.IgnoreFields(fakekazoo.HookState{}, "Failures") // Kazoo forgets failures by itself
	if diff := cmp.Diff(hooks, p.Hooks(), forgetful); diff != "" {
		t.Errorf("hooks were changed:\n%s", diff)
	}
	if n := p.Sessions() - sessions; n > 1 {
		t.Errorf("%d logins", n)
	}
	if diff := cmp.Diff(files, list(t, filepath.Dir(p.env["DATA_DIR"]))); diff != "" {
		t.Errorf("files were changed:\n%s", diff)
	}
	return out.String(), err
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	if err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		out = append(out, path)
		return err
	}); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return out
}

// findings runs doctor and returns its findings by check.
func (p *patient) findings(t *testing.T) map[string][]finding {
	t.Helper()
	out, err := p.examine(t, "json")
	var all []finding
	if jsonErr := json.Unmarshal([]byte(out), &all); jsonErr != nil {
		t.Fatalf("%v in %s", jsonErr, out)
	}
	byCheck := map[string][]finding{}
	fails := false
	for _, f := range all {
		byCheck[f.Check] = append(byCheck[f.Check], f)
		fails = fails || f.Status == statusFail
		if (f.Status == statusFail || f.Status == statusWarn) != (f.Advice != "") {
			t.Errorf("advice of %+v", f)
		}
		if f.Found == "" {
			t.Errorf("nothing found: %+v", f)
		}
	}
	if want := map[bool]int{true: codeFailed}[fails]; exitCode(err) != want {
		t.Errorf("exit code %d, want %d: %v", exitCode(err), want, err)
	}
	for _, c := range (&doctor{}).checks() {
		if len(byCheck[c.name]) == 0 {
			t.Errorf("no word of %s", c.name)
		}
	}
	return byCheck
}

// want compares findings with "status text" for the checks in wanted. The others must
// be fine, or "warn" where the patient is on loopback.
func want(t *testing.T, got map[string][]finding, wanted map[string][]string) {
	t.Helper()
	for name, list := range got {
		w, special := wanted[name]
		if !special {
			w = []string{map[string]string{"dns": "warn"}[name]}
		}
		if len(list) != len(w) {
			t.Errorf("%s: %d findings, want %d: %+v", name, len(list), len(w), list)
			continue
		}
		for i, f := range list {
			if name == "api" && w[i] == "" && strings.Contains(f.Found, "to answer") {
				continue // correct on an overloaded machine
			}
			status, text, _ := strings.Cut(w[i], " ")
			if status == "" {
				status = "ok"
			}
			if string(f.Status) != status || !strings.Contains(f.Found+" -> "+f.Advice, text) {
				t.Errorf("%s: want %q, got %s: %s -> %s", name, w[i], f.Status, f.Found, f.Advice)
			}
		}
	}
}

func (p *patient) inject(t *testing.T, f fakekazoo.Fault) {
	t.Helper()
	if _, err := p.Inject(f); err != nil {
		t.Fatal(err)
	}
}

// deleteUsers deletes users and waits until Kazoo has delivered that or given up.
func (p *patient) deleteUsers(t *testing.T, n int) {
	t.Helper()
	for range n {
		u, err := p.CreateUser(fakekazoo.User{})
		if err == nil {
			err = p.DeleteUser(u.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil { //nolint:gosec // the tests' own paths
		t.Fatal(err)
	}
}
