package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kazoohook/config"
	"kazoohook/internal/fakekazoo"
)

// The marked secrets. Each begins and ends with a mark, so that half of one is found
// too. Where allowed, it holds characters that need escaping.
const (
	secretPassword = `MARKpassbegin "<pa/ss>\&%+=é" MARKpassend`
	secretHook     = "MARKhookbegin._~-MARKhookend"
	secretPrevious = "MARKoldbegin._~-MARKoldend"
	secretAdmin    = `MARKadminbegin"<>&%+=\/MARKadminend`
	secretAPIKey   = `MARKkeybegin/+="<&0123456789012345678901234567890123MARKkeyend00`
	secretEvent    = `MARKeventbegin "<&=%+>" MARKeventend`
	secretPanic    = "MARKpanic"
)

// secrecy is the whole program with marked secrets, and all its output.
type secrecy struct {
	*scene
	echo  *echo
	marks *marks
	out   *outputs
	env   []string // settings of commands beside the service
}

func newSecrecy(t *testing.T) *secrecy {
	t.Helper()
	s := &secrecy{marks: &marks{}, out: &outputs{}, scene: &scene{t: t, log: &logLines{}}}
	for _, secret := range []string{secretPassword, secretHook, secretPrevious, secretAdmin, secretAPIKey, secretEvent, secretPanic} {
		for _, piece := range regexp.MustCompile(`MARK[a-z]+`).FindAllString(secret, -1) {
			s.marks.add(piece, forms(piece)...)
		}
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	f, err := newFake(ctx, fakekazoo.Options{Speed: 50, Seed: 5, BucketsOff: true, Password: secretPassword, APIKey: secretAPIKey}, "127.0.0.1:0", "127.0.0.1:0", 3)
	if err != nil {
		t.Fatal(err)
	}
	s.fake = f
	s.echo = &echo{next: f.API(), marks: s.marks, secrets: []string{ // what Kazoo knows of our secrets
		secretPassword, secretHook, secretPrevious,
		"http://u:" + url.QueryEscape(secretPassword) + "@h/kazoo/" + secretHook + "/object", url.QueryEscape("http://h/kazoo/" + secretPrevious + "/object"),
	}}
	front := httptest.NewServer(s.echo)
	public := freeAddrs(t, 1)[0]
	s.env = []string{
		"KAZOO_API_URL=" + front.URL, "KAZOO_USERNAME=" + fakekazoo.DefaultUsername, "KAZOO_PASSWORD=" + secretPassword, "KAZOO_ACCOUNT_NAME=acme",
		"PUBLIC_URL=http://" + public, "LISTEN_ADDR=" + public, "DATA_DIR=" + t.TempDir(), "KAZOO_API_RATE=10",
		"HOOK_SECRET=" + secretHook, "HOOK_SECRET_PREVIOUS=" + secretPrevious, "ADMIN_TOKEN=" + secretAdmin,
		"RECONCILE_INTERVAL=1s", "SHUTDOWN_TIMEOUT=20s", "HOOKS=object:user,notifications", "LOG_LEVEL=trace",
	}
	cfg, err := config.Load(config.Options{Need: config.All, Environ: append(s.env, "ADMIN_ADDR=127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	cfg.KazooAPIRate = 1000 // the fake Kazoo is fast, too
	l, err := (&env{}).newLogs(cfg, s.log)
	if err != nil {
		t.Fatal(err)
	}
	s.out.watch("the service's log", s.log)
	if s.service, err = newService(ctx, cfg, l); err != nil {
		t.Fatal(err)
	}
	s.public, s.admin = "http://"+public, adminURL(s.service)
	s.env = append(s.env, "ADMIN_ADDR="+strings.TrimPrefix(s.admin, "http://"))
	done := make(chan error, 2)
	go func() { done <- f.run(ctx) }()
	go func() { done <- s.service.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Error(err)
		}
		front.Close()
	})
	s.until("ready", func() bool { return s.get(s.public+"/readyz").status == http.StatusOK })
	return s
}

// ask makes a request with the given headers and keeps the answer with its headers.
func (s *secrecy) ask(method, target, contentType, body string, header ...string) int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return 0
	}
	req.Header.Set("Content-Type", contentType)
	for pair := range slices.Chunk(header, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return 0 // we ended it
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	name := fmt.Sprintf("the answer to %s %s", method, req.URL.Path)
	var text bytes.Buffer
	_ = resp.Header.Write(&text)
	s.out.add(name, text.String())
	text.Reset()
	if resp.Header.Get("Content-Type") == "text/event-stream" {
		// The stream has no end.
		events := &collected{text: "data: ", stop: func() { time.AfterFunc(300*time.Millisecond, cancel) }}
		_, _ = io.Copy(events, resp.Body)
		s.out.add(name, events.String())
		return resp.StatusCode
	}
	_, _ = text.ReadFrom(resp.Body)
	s.out.add(name, text.String())
	return resp.StatusCode
}

// command runs a command beside the service and keeps its output.
func (s *secrecy) command(j job) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), j.most)
	defer cancel()
	name, args := "kazoohook "+strings.Join(j.args, " "), slices.Clone(j.args)
	if j.most == ample && slices.Contains([]string{"plan", "register", "doctor"}, args[0]) {
		args = append(args, "--timeout", "1m") // many commands run at once
	}
	environ := map[string]string{}
	for _, line := range append(slices.Clone(s.env), j.change...) {
		k, v, _ := strings.Cut(line, "=")
		environ[k] = v
	}
	var list []string
	for k, v := range environ {
		list = append(list, k+"="+v)
	}
	stdout, stderr := &collected{text: j.until, stop: cancel}, &collected{}
	s.out.watch(name, stdout)
	s.out.watch(name+" (standard error)", stderr)
	_ = run(ctx, args, list, strings.NewReader(""), stdout, stderr)
}

// byKey returns the settings of a login by API key instead of name and password.
func byKey() []string {
	return []string{"KAZOO_USERNAME=", "KAZOO_PASSWORD=", "KAZOO_ACCOUNT_NAME=", "KAZOO_API_KEY=" + secretAPIKey}
}

// job is a command to run, its settings, and its time: at most most, or until its
// output contains until.
type job struct {
	most   time.Duration
	change []string
	args   []string
	until  string
}

// together runs commands at the same time: most of the time they wait.
func (s *secrecy) together(jobs []job) {
	var all sync.WaitGroup
	room := make(chan struct{}, 64)
	for _, j := range jobs {
		room <- struct{}{}
		all.Go(func() {
			s.command(j)
			<-room
		})
	}
	all.Wait()
}

// TestSecretsNeverShow starts everything with marked secrets, takes every path, also
// errors and panics, and looks for the marks in all output. Only the journal's own
// files may hold them, because what Kazoo sent is kept unchanged.
func TestSecretsNeverShow(t *testing.T) {
	t.Parallel()
	s := newSecrecy(t)
	s.happen()
	s.strangers()
	s.api(secretAdmin)
	s.out.add("the page", s.page())
	s.commands()
	s.wrongSettings()
	s.panics()
	s.kazooFails()
	s.api(secretAdmin[1:], secretPassword, "") // last: afterwards even right tokens may be refused for a while
	s.out.search(t, s.marks)
	for from, text := range map[string]string{
		"the service's log": "request with the previous hook secret", "the log of panics": "panic while taking a request of Kazoo", "the page": "<script",
		"the answer to GET /metrics": "kazoohook_", "the answer to GET /api/events": `"password":"***"`, "the answer to GET /api/events/1": `"body":"`,
		"the answer to GET /api/attempts": "kazoo/***/", "the answer to GET /api/events/stream": "data: ", "kazoohook events --format json": `"account_api_key":"***"`,
		"kazoohook doctor": "offered", "kazoohook plan": "nothing to change", "kazoohook config": "***", "kazoohook tail --since 1h": "new_user", "kazoohook serve": "logging in",
		"kazoohook plan (standard error)": "***", "kazoohook config (standard error)": "HOOK_SECRET",
	} {
		s.out.saw(t, from, text)
	}
}

// TestCommonPassword: if the password is a common word, the output stays readable,
// doesn't show it as a password, and has a warning.
func TestCommonPassword(t *testing.T) {
	t.Parallel()
	const word = "user"
	var running sync.WaitGroup
	defer running.Wait()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	f, err := newFake(ctx, fakekazoo.Options{Speed: 50, Seed: 1, Password: word}, "127.0.0.1:0", "127.0.0.1:0", 3)
	if err != nil {
		t.Fatal(err)
	}
	environ := []string{
		"KAZOO_API_URL=" + f.api, "KAZOO_USERNAME=" + fakekazoo.DefaultUsername, "KAZOO_PASSWORD=" + word, "KAZOO_ACCOUNT_NAME=acme",
		"PUBLIC_URL=http://hooks.example.com", "LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "DATA_DIR=" + t.TempDir(), "SHUTDOWN_TIMEOUT=20s",
	}
	cfg, err := config.Load(config.Options{Need: config.All, Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, fake: f, log: &logLines{}}
	l, err := (&env{}).newLogs(cfg, s.log)
	if err != nil {
		t.Fatal(err)
	}
	if s.service, err = newService(ctx, cfg, l); err != nil {
		t.Fatal(err)
	}
	for _, run := range []func(context.Context) error{f.run, s.service.run} {
		running.Go(func() { _ = run(ctx) }) // ends with ctx
	}
	for _, want := range []string{
		`"KAZOO_PASSWORD":"***"`, `"KAZOO_USERNAME":`, `"hooks":"object:user:doc_deleted"`, `masked only where it is named as a password`,
		`"name":"kazoohook object user doc_deleted"`, `"custom_data":"action=doc_deleted,type=user"`,
	} {
		s.logged(want)
	}
	stdout, stderr, code := program(t, environ, "config")
	if code != 0 || !strings.Contains(stdout, "\nkazoo_username: ") || !strings.Contains(stdout, "\nhooks: object:user:doc_deleted") || strings.Contains(stdout, "kazoo_password: "+word) {
		t.Errorf("%d %s %s", code, stderr, stdout)
	}
}
