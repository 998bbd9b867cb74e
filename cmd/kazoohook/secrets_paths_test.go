package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"kazoohook/internal/fakekazoo"
)

// happen makes Kazoo send events that hold secrets, in every form in which they may
// arrive, also forms that can't be understood.
func (s *secrecy) happen() {
	s.t.Helper()
	fields := map[string]any{
		"password": secretEvent, "password_reset_link": "https://ui.example/#/?recovery=" + url.QueryEscape(secretEvent), "account_api_key": secretEvent,
		"auth_token": secretEvent, "user": map[string]any{"password": secretEvent, "pin": secretEvent},
		"username": "ann",
	}
	for _, name := range []string{"new_user", "password_recovery", "new_account", "low_balance"} {
		if err := s.Notify("acme", name, fields); err != nil {
			s.t.Fatal(err)
		}
	}
	s.logged(`"event":"notification.new_account"`)
	secret := url.QueryEscape(secretEvent)
	raw := fmt.Sprintf("%q", secretEvent)
	const form, plain = "application/x-www-form-urlencoded", "application/json"
	for _, d := range []struct{ method, hook, contentType, body string }{
		{"POST", "notifications", form, "event_name=new_user&account_id=a&password=" + secret + "&user[password]=" + secret + "&Auth-Token=" + secret},
		{"POST", "notifications", form, "event_name=new_user&account_id=a&password=" + secret + "%zz&&=&user[[password]=" + secret},
		{"POST", "object", form, "\xff\xfe&password=" + secret},
		{"POST", "object", form, "user={\"password\":\"" + secret + "\"}&x=[{\"api_key\":\"" + secret + "\"}]"},
		{"POST", "notifications", plain, `{"event_name":"new_user","account_id":"a","password":` + raw + `,"user":{"api_key":` + raw + `}}`},
		{"POST", "notifications", plain, `{"action":"event","name":"new_user","data":{"password":` + raw + `},"timestamp":1}`},
		{"POST", "notifications", plain, `{"event_name":"new_user","password":` + raw},
		{"POST", "notifications", plain, `{"event_name":"new_user","password":"` + secretHook[:13] + `\ud800","x":`},
		{"POST", "notifications", plain, `[{"password":` + raw + `}]`},
		{"POST", "notifications", "", "event_name=new_user&account_id=a&password=" + secret},
		{"POST", "nothing-known/" + secretPanic[:4], "text/plain", "password=" + secret},
		{"PUT", "object", plain, `{"id":"1","account_id":"a","action":"doc_edited","type":"user","password":` + raw + `}`},
		{"GET", "notifications?event_name=new_user&account_id=a&password=" + secret, "", ""},
	} {
		for _, in := range []string{secretHook, secretPrevious} {
			if got := s.ask(d.method, s.public+"/kazoo/"+in+"/"+d.hook, d.contentType, d.body, "X-Hook-Id", "h"); got != http.StatusOK {
				s.t.Errorf("%s %s was answered %d", d.method, d.hook, got)
			}
		}
	}
	// What Kazoo could not deliver it reports in its own words.
	fault := fakekazoo.Fault{Kind: fakekazoo.FaultRefuse, Op: "notifications", Count: 8, ClientError: "failed_connect http://h/kazoo/" + secretHook + "/object econnrefused"}
	if _, err := s.Inject(fault); err != nil {
		s.t.Fatal(err)
	}
	if err := s.Notify("acme", "new_user", fields); err != nil {
		s.t.Fatal(err)
	}
	s.logged(`"source":"recovered"`)
}

// strangers sends requests that must be refused, even with the right secrets.
func (s *secrecy) strangers() {
	for _, path := range []string{
		"/kazoo/" + secretHook, "/kazoo/" + secretHook + "x/object", "/kazoo/x/" + secretHook + "/object", "//kazoo/" + secretHook + "/object",
		"/" + secretHook, "/healthz?" + secretHook, "/readyz", "/kazoo/" + secretPrevious + "%2fobject",
	} {
		for _, method := range []string{"GET", "POST", "DELETE", "BREW"} {
			s.ask(method, s.public+path, "text/plain", "password="+url.QueryEscape(secretEvent))
		}
	}
	right := s.public + "/kazoo/" + secretHook + "/object"
	s.ask("DELETE", right, "", "")
	s.ask("POST", right, "application/x-www-form-urlencoded", "password="+strings.Repeat(url.QueryEscape(secretEvent), 40_000))
	s.ask("POST", right, "application/x-www-form-urlencoded", "password="+url.QueryEscape(secretEvent), "Content-Encoding", "x-"+secretPanic[:4])
}

// api asks every route of the admin side with some tokens, at the same time: a wrong
// token is answered late.
func (s *secrecy) api(tokens ...string) {
	s.t.Helper()
	const plain = "application/json"
	last, err := s.service.journal.Last(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var all sync.WaitGroup
	defer all.Wait()
	for _, token := range tokens {
		header := []string{"Authorization", "Bearer " + token}
		all.Go(func() { s.ask("POST", s.admin+"/api/session", plain, fmt.Sprintf("{%q:%q}", "token", token)) })
		for _, path := range []string{
			"/", "/healthz", "/readyz", "/metrics", "/nothing", "/api/events?limit=1000", "/api/events?format=ndjson&text=begin", "/api/events?limit=x",
			"/api/events?since=" + secretHook[4:], "/api/hooks", "/api/consumers", "/api/checks", "/api/attempts", "/api/rates?span=1h", "/api/about", "/api/resync", "/api/events?format=csv", "/api/events?duplicate=true", "/api/events/stream?after=0", "/api/events/0",
		} {
			all.Go(func() { s.ask("GET", s.admin+path, "", "", header...) })
		}
		all.Go(func() {
			for seq := int64(1); seq <= last && token == secretAdmin; seq++ {
				s.ask("GET", fmt.Sprintf("%s/api/events/%d", s.admin, seq), "", "", header...)
			}
		})
		for _, body := range []string{`{"consumer":"log","from":1,"dry_run":true}`, `{"consumer":"log","from":1}`, `{"dry_run":true}`, `{`} {
			for _, path := range []string{"/api/replay", "/api/resync"} {
				all.Go(func() { s.ask("POST", s.admin+path, plain, body, header...) })
			}
		}
		all.Go(func() { s.ask("DELETE", s.admin+"/api/session", "", "", header...) })
	}
}

// page returns the page with everything that it loads.
func (s *secrecy) page() string {
	s.t.Helper()
	index := s.get(s.admin + "/").body
	all := index
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"#]+)"`).FindAllStringSubmatch(index, -1) {
		all += s.get(s.admin + "/" + strings.TrimPrefix(m[1], "/")).body
	}
	return all
}

// commands runs every command beside the service, with each way to log in.
func (s *secrecy) commands() {
	const most = ample
	jobs := []job{
		{most: most, args: []string{"tail", "--since", "1h"}, until: "unknown"},
		{most: most, args: []string{"tail", "--since", "1h", "--format", "json"}, until: "unknown"},
		{most: most, until: "baseline", change: []string{"LOG_FORMAT=console", "DATA_DIR=" + s.t.TempDir(), "LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0"}, args: []string{"serve"}},
		{most: most, change: []string{"DATA_DIR=/dev/null/x"}, args: []string{"serve"}},
		{most: most, args: []string{"serve"}}, // the data directory is in use
	}
	for _, line := range []string{
		"config", "config --format json", "config --format env", "plan", "register", "doctor", "doctor --format json", "events --limit 1000",
		"events --format json", "replay --from 1h", "resync --dry-run", "resync", "healthcheck", "version",
	} {
		jobs = append(jobs, job{most: most, args: strings.Fields(line)})
	}
	for _, line := range []string{"config", "plan", "doctor"} {
		jobs = append(jobs, job{most: most, change: byKey(), args: strings.Fields(line)})
	}
	for _, wrong := range [][]string{
		{"KAZOO_PASSWORD=" + secretPassword[1:]}, append(byKey(), "KAZOO_API_KEY="+secretAPIKey[1:]+"x"), {"ADMIN_TOKEN=" + secretAdmin + "x"},
		{"HOOK_SECRET=" + secretPrevious, "HOOK_SECRET_PREVIOUS=" + secretHook},
	} {
		for _, line := range []string{"plan", "doctor", "events", "resync --dry-run"} {
			jobs = append(jobs, job{most: most, change: wrong, args: strings.Fields(line)})
		}
	}
	s.together(jobs)
}

// wrongSettings puts secrets into settings where they are wrong.
func (s *secrecy) wrongSettings() {
	const most = 1500 * time.Millisecond
	var jobs []job
	dir := s.t.TempDir()
	for i, content := range []string{
		"kazoo_password: \"" + secretHook, "kazoo_pasword: " + secretHook, "hook_secret: [" + secretHook + "]", "admin_token: {a: " + secretHook + "}",
		"\t" + secretHook, secretHook, "- " + secretHook, "a: &" + "x\nadmin_token: " + secretHook + ": y", "admin_token: !!binary " + secretHook, "admin_token: |\n  " + secretHook + "\n  " + secretHook,
	} {
		file := filepath.Join(dir, fmt.Sprint(i, ".yaml"))
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
		for _, command := range []string{"config", "doctor"} {
			jobs = append(jobs, job{most: most, change: []string{"KAZOO_API_URL=http://" + closed}, args: []string{command, "--config", file}})
		}
	}
	for _, change := range []string{
		"HOOK_SECRET=" + secretEvent, "HOOK_SECRET_PREVIOUS=" + secretPassword, "ADMIN_TOKEN=" + secretEvent, "KAZOO_CREDENTIALS=" + secretHook, "KAZOO_API_KEY=" + secretHook,
		"KAZOO_API_URL=http://u:" + url.QueryEscape(secretPassword) + "@h", "PUBLIC_URL=https://" + secretHook + "@hooks.example.com", "KAZOO_PASSWORD_FILE=" + filepath.Join(dir, "0.yaml"),
		"KAZOO_API_URL=://u:" + secretHook + "@h", "PUBLIC_URL=http://u:" + secretHook + "@[",
	} {
		for _, command := range []string{"config", "doctor", "plan", "serve"} {
			jobs = append(jobs, job{most: most, change: []string{change, "LOG_LEVEL=nothing"}, args: []string{command}})
		}
	}
	s.together(jobs)
}
