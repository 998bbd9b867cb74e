package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kazoohook/config"
	"kazoohook/handlers"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal"
)

const (
	noAPI     = "skip needs the check api"
	noLogin   = "skip needs the check login"
	noAccount = "skip needs the check account"
)

func TestDoctor(t *testing.T) {
	t.Parallel()
	object := func(p *patient) string { return p.Hooks()[0].ID }
	var all sync.WaitGroup
	defer all.Wait()
	for name, c := range map[string]struct {
		options fakekazoo.Options
		fresh   bool // hooks are not registered
		change  func(t *testing.T, p *patient)
		want    map[string][]string
	}{
		"everything fine": {},
		"version 5":       {options: fakekazoo.Options{Version: "5"}},
		"api down": {
			change: func(_ *testing.T, p *patient) { p.env["KAZOO_API_URL"], p.timeout = "http://"+closed, time.Second },
			want: map[string][]string{
				"api": {"fail http://127.0.0.1:1/v2/webhooks"}, "clock": {noAPI}, "login": {noAPI}, "account": {noLogin}, "offered": {noAPI},
				"registered": {noAccount}, "enabled": {noAccount}, "attempts": {"skip needs the check enabled"}, "samples": {noAPI},
			},
		},
		"api hangs": {
			change: func(t *testing.T, p *patient) {
				p.inject(t, fakekazoo.Fault{Kind: fakekazoo.FaultSlow, Delay: time.Minute})
				p.timeout = 3 * time.Second
			},
			want: map[string][]string{
				"api": {"fail no answer in time"}, "clock": {noAPI}, "login": {noAPI}, "account": {noLogin}, "offered": {noAPI},
				"registered": {noAccount}, "enabled": {noAccount}, "attempts": {"skip"}, "samples": {noAPI},
			},
		},
		"wrong password": {
			change: func(_ *testing.T, p *patient) { p.env["KAZOO_PASSWORD"] = marked + "-wrong" },
			want: map[string][]string{
				"login": {"fail check KAZOO_USERNAME and KAZOO_PASSWORD"}, "account": {noLogin},
				"registered": {noAccount}, "enabled": {noAccount}, "attempts": {"skip needs the check enabled"},
			},
		},
		"unknown api key": {
			change: func(_ *testing.T, p *patient) {
				p.env["KAZOO_API_KEY"] = strings.Repeat(marked[:4], 16)
				p.env["KAZOO_USERNAME"], p.env["KAZOO_PASSWORD"], p.env["KAZOO_ACCOUNT_NAME"] = "", "", ""
			},
			want: map[string][]string{
				"login": {"fail does not know this KAZOO_API_KEY"}, "account": {noLogin},
				"registered": {noAccount}, "enabled": {noAccount}, "attempts": {"skip"},
			},
		},
		"another account": {
			fresh: true,
			change: func(t *testing.T, p *patient) {
				p.env["KAZOO_ACCOUNT_ID"] = "5ab5ab5ab5ab5ab5ab5ab5ab5ab5ab50"
				p.register(t)
			},
			want: map[string][]string{"account": {`ok another than the login's, "acme"`}},
		},
		"account of others": {
			change: func(_ *testing.T, p *patient) { p.env["KAZOO_ACCOUNT_ID"] = "00000000000000000000000000000001" },
			want: map[string][]string{
				"account": {"ok another"}, "registered": {"skip needs the check enabled"}, "enabled": {"fail KAZOO_ACCOUNT_ID must be"},
				"attempts": {"skip needs the check enabled"},
			},
		},
		"hook disabled after failed attempts": {
			change: func(t *testing.T, p *patient) {
				p.inject(t, fakekazoo.Fault{Kind: fakekazoo.FaultRefuse, Count: 6}) // for a creation and a deletion
				p.deleteUsers(t, 1)
				if err := p.DisableHook(object(p), fakekazoo.ReasonTooManyFailures); err != nil {
					t.Fatal(err)
				}
			},
			want: map[string][]string{
				"enabled":  {"fail too many failed attempts"},
				"attempts": {"warn 6 failed attempts in the last 24 hours (object), the last "},
			},
		},
		"two kinds of failed attempts": {
			change: func(t *testing.T, p *patient) {
				p.inject(t, fakekazoo.Fault{Kind: fakekazoo.FaultRefuse, Count: 3, ClientError: "tls_alert for " + p.Hooks()[0].URI})
				p.deleteUsers(t, 1)
				p.MoveClock(20 * time.Second)
				p.deleteUsers(t, 1) // the receiver has no journal and doesn't answer 200
			},
			want: map[string][]string{"attempts": {"warn answered ", "warn could not agree on TLS"}},
		},
		"hook missing": {fresh: true, want: map[string][]string{
			"registered": {"fail kazoohook object user doc_deleted"}, "enabled": {"skip no hook"},
		}},
		"attempts not to be read": {
			change: func(t *testing.T, p *patient) {
				p.inject(t, fakekazoo.Fault{Kind: fakekazoo.FaultStatus, Status: http.StatusNotFound, Op: "attempts.list"})
			},
			want: map[string][]string{"attempts": {"warn reading failed attempts"}},
		},
		"many hooks missing": {
			change: func(_ *testing.T, p *patient) { p.env["HOOKS"] = "object:user:doc_deleted,object:device" },
			want: map[string][]string{
				"registered": {`fail 3 hooks not registered: "kazoohook object device doc_created", "kazoohook object device doc_deleted", "kazoohook object device doc_edited" -> a running`},
			},
		},
		"hook different": {
			change: func(_ *testing.T, p *patient) { p.env["HOOK_RETRIES"] = "1" },
			want:   map[string][]string{"registered": {"warn retries is 3, not 1"}},
		},
		"hook with another secret": {
			change: func(_ *testing.T, p *patient) { p.env["HOOK_SECRET"] = marked + "-another-secret-01" },
			want:   map[string][]string{"registered": {"fail (another secret)", "fail (another secret)"}},
		},
		"hook secret not known": {
			change: func(_ *testing.T, p *patient) { delete(p.env, "HOOK_SECRET") },
			want:   map[string][]string{"registered": {"warn can't be compared"}},
		},
		"hook secret spoilt": {
			change: func(t *testing.T, p *patient) {
				delete(p.env, "HOOK_SECRET")
				put(t, filepath.Join(p.env["DATA_DIR"], config.SecretFile), marked)
			},
			want: map[string][]string{"registered": {"fail hook secret is not known"}},
		},
		"hook twice": {
			change: func(t *testing.T, p *patient) {
				var fields map[string]any
				if err := json.Unmarshal(p.Hooks()[0].Detail, &fields); err != nil {
					t.Fatal(err)
				}
				if _, err := p.CreateHook("acme", fields); err != nil {
					t.Fatal(err)
				}
			},
			want: map[string][]string{"registered": {"warn one too many"}},
		},
		"hook not offered": {
			change: func(_ *testing.T, p *patient) { p.env["HOOKS"] = "object:user:doc_deleted,cdr,object:castle" },
			want: map[string][]string{
				"settings": {`warn "object:castle:all" has a type`},
				"offered":  {`fail offers no hook "cdr"`, `fail offers no type "castle"`},
			},
		},
		"clock skew": {
			change: func(_ *testing.T, p *patient) { p.MoveClock(-2 * time.Minute) },
			want:   map[string][]string{"clock": {"warn s behind ours"}},
		},
		"data directory is a file": {
			change: func(t *testing.T, p *patient) {
				p.env["DATA_DIR"] = filepath.Join(p.env["DATA_DIR"], "file")
				put(t, p.env["DATA_DIR"], "")
			},
			want: map[string][]string{"data_dir": {"fail is not a directory"}, "journal": {"fail not a directory"}},
		},
		"data directory below a file": {
			change: func(t *testing.T, p *patient) {
				put(t, filepath.Join(p.env["DATA_DIR"], "file"), "")
				p.env["DATA_DIR"] = filepath.Join(p.env["DATA_DIR"], "file", "data")
			},
			want: map[string][]string{"data_dir": {"fail not a directory"}, "journal": {"fail not a directory"}},
		},
		"data directory open, journal damaged": {
			change: func(t *testing.T, p *patient) {
				put(t, filepath.Join(p.env["DATA_DIR"], journal.FileName), "not a database at all")
				if err := os.Chmod(p.env["DATA_DIR"], 0o755); err != nil { //nolint:gosec // what is tested
					t.Fatal(err)
				}
			},
			want: map[string][]string{"data_dir": {"warn chmod 700"}, "journal": {"fail is damaged"}, "integrity": {"fail not a database"}},
		},
		"data directory of another service": {
			change: func(_ *testing.T, p *patient) { p.env["DATA_DIR"] += "/new" },
			want:   map[string][]string{"data_dir": {"ok the first start makes it"}, "journal": {"warn although a service runs"}},
		},
		"service stopped": {
			change: func(t *testing.T, p *patient) {
				p.env["LISTEN_ADDR"], p.env["ADMIN_ADDR"], p.env["PUBLIC_URL"] = closed, "off", "http://"+closed
				p.register(t)
			},
			fresh: true,
			want: map[string][]string{
				"service": {"warn nothing listens at 127.0.0.1"}, "public_url": {"warn connection refused"}, "journal": {"ok no running service was seen"},
			},
		},
		"service not ready": {
			change: func(_ *testing.T, p *patient) {
				p.checks = append(p.checks, handlers.Check{Name: "journal", Reason: "events can't be kept", Detail: "disk full " + p.env["HOOK_SECRET"]})
			},
			want: map[string][]string{"service": {"fail not ready, says 127.0.0.1"}},
		},
		"service hangs": {
			change: func(t *testing.T, p *patient) {
				hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
				p.env["ADMIN_ADDR"], p.timeout = strings.TrimPrefix(serve(t, hang), "http://"), 3*time.Second
			},
			want: map[string][]string{"service": {"fail doesn't answer: no answer in time"}, "journal": {"ok no running service"}},
		},
		"samples garbled": {
			change: func(t *testing.T, p *patient) {
				p.inject(t, fakekazoo.Fault{Kind: fakekazoo.FaultGarbage, Op: "webhooks.sample"})
			},
			want: map[string][]string{"samples": {"warn It works!"}},
		},
		"samples not understood": {
			change: func(t *testing.T, p *patient) {
				api := p.API()
				p.env["KAZOO_API_URL"] = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/v2/webhooks/samples/webhooks_sms" {
						api.ServeHTTP(w, r)
						return
					}
					_, _ = io.WriteString(w, `{"status":"success","data":[{"action":"`+p.env["HOOK_SECRET"]+`"}]}`)
				}))
			},
			want: map[string][]string{"samples": {`warn sample 1 of "webhooks_sms" is not understood`, "warn 30 samples of 9 hooks, 1 not understood"}},
		},
		"published samples": {
			change: func(t *testing.T, p *patient) {
				api, samples := p.API(), publishedSamples(t)
				p.env["KAZOO_API_URL"] = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					id, ok := strings.CutPrefix(r.URL.Path, "/v2/webhooks/samples")
					switch {
					case !ok:
						api.ServeHTTP(w, r)
					case id == "":
						_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": slices.Sorted(maps.Keys(samples))})
					default:
						_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": samples[id[1:]]})
					}
				}))
			},
			want: map[string][]string{"samples": {"ok 44 samples of 7 hooks, 0 not understood"}},
		},
		"another program": {
			fresh: true,
			change: func(t *testing.T, p *patient) {
				p.env["PUBLIC_URL"] = serve(t, http.NotFoundHandler())
				p.env["LISTEN_ADDR"], p.env["ADMIN_ADDR"] = strings.TrimPrefix(p.env["PUBLIC_URL"], "http://"), "off"
				p.register(t)
			},
			want: map[string][]string{
				"service": {"fail another program has the port"}, "public_url": {"fail answers 404"}, "journal": {"ok"},
			},
		},
		"redirecting": {
			fresh: true,
			change: func(t *testing.T, p *patient) {
				p.env["PUBLIC_URL"] = serve(t, http.RedirectHandler("https://me:"+marked+"@elsewhere.example.com/x", http.StatusMovedPermanently))
				p.register(t)
			},
			want: map[string][]string{"public_url": {"fail answers 301, a redirect to https://elsewhere.example.com -> set PUBLIC_URL to the final address"}},
		},
		"proxy without a service": {
			fresh: true,
			change: func(t *testing.T, p *patient) {
				p.env["PUBLIC_URL"] = serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
				p.register(t)
			},
			want: map[string][]string{"public_url": {"fail a proxy is there"}},
		},
		"settings wrong": {
			change: func(_ *testing.T, p *patient) {
				p.env["KAZOO_PASSWORD"], p.env["HOOK_RETRIES"], p.env["ADMIN_TOKEN"] = "", "nine", marked
			},
			want: map[string][]string{
				"settings":   {"fail KAZOO_PASSWORD: is missing", `fail HOOK_RETRIES: "nine" is not a whole number -> use 0 to 4`, `fail ADMIN_TOKEN: "***" is too short`},
				"login":      {"skip settings that are not right: KAZOO_USERNAME"},
				"account":    {noLogin},
				"registered": {"skip HOOK_RETRIES"}, "enabled": {noAccount}, "attempts": {"skip"},
			},
		},
	} {
		// All at once, even on few processors: most of the time they wait for their
		// KAZOO_API_RATE.
		all.Go(func() {
			t.Run(name, func(t *testing.T) {
				p := newPatient(t, c.options)
				if !c.fresh {
					p.register(t)
				}
				if c.change != nil {
					c.change(t, p)
				}
				got := p.findings(t)
				if p.timeout < ample { // too short for the other checks on an overloaded machine
					maps.DeleteFunc(got, func(name string, _ []finding) bool { return c.want[name] == nil })
				}
				want(t, got, c.want)
			})
		})
	}
}

// TestDoctorText: each check has one line, in the order of the list.
func TestDoctorText(t *testing.T) {
	t.Parallel()
	p := newPatient(t, fakekazoo.Options{})
	out, err := p.examine(t, "text")
	if exitCode(err) != codeFailed || err.Error() != "1 failure found" {
		t.Errorf("error: %v", err)
	}
	var names, lines []string
	for line := range strings.Lines(out) {
		names = append(names, strings.Fields(line)[1])
		lines = append(lines, strings.Fields(line)[0]+" "+strings.Fields(line)[1])
	}
	var expected []string
	for _, c := range (&doctor{}).checks() {
		expected = append(expected, c.name)
	}
	if diff := cmp.Diff(expected, names); diff != "" {
		t.Error(diff)
	}
	if !slices.Contains(lines, "fail registered") || !strings.Contains(out, " -> a running service does it by itself") {
		t.Errorf("lines:\n%s", out)
	}
}

// publishedSamples returns Kazoo's published samples, by hook.
func publishedSamples(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	raw, err := os.ReadFile("../../internal/event/testdata/samples.json")
	if err != nil {
		t.Fatal(err)
	}
	var samples map[string]json.RawMessage
	if err := json.Unmarshal(raw, &samples); err != nil {
		t.Fatal(err)
	}
	return samples
}
