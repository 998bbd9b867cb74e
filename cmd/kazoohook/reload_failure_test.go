package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/config"
	"kazoohook/internal/delivery"
	"kazoohook/internal/journal"
)

// refusing is a journal that takes no destinations while err is set.
type refusing struct {
	*journal.Journal
	err atomic.Pointer[error]
}

func (r *refusing) Configure(ctx context.Context, add []journal.NewDestination, remove, forget []string) error {
	if err := r.err.Load(); err != nil {
		return *err
	}
	return r.Journal.Configure(ctx, add, remove, forget)
}

// settingsOf is a service that only reads its settings again, from a directory with the
// files config.yaml and token.
type settingsOf struct {
	*service
	t       *testing.T
	dir     string
	journal *refusing
	hangUp  chan os.Signal
	log     logLines

	mu     sync.Mutex
	tokens []string // ADMIN_TOKEN, each that was taken
}

func (s *settingsOf) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tokens)
}

func newSettingsOf(t *testing.T, dir, token string) *settingsOf {
	s := &settingsOf{t: t, dir: dir, hangUp: make(chan os.Signal, 1)}
	s.put("config.yaml", "log_level: info\n")
	s.put("token", token)
	r := &reload{hangUp: s.hangUp, load: func() (*config.Config, error) {
		return config.Load(config.Options{File: filepath.Join(dir, "config.yaml"), Environ: []string{"ADMIN_TOKEN_FILE=" + filepath.Join(dir, "token")},
			Need: config.Listen | config.Log | config.Onward, Compile: judgeDestination})
	}}
	cfg, err := r.load()
	if err != nil {
		t.Fatal(err)
	}
	r.take(cfg)
	l, err := (&env{}).newLogs(cfg, &s.log)
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(t.Context(), journal.Options{Dir: filepath.Join(dir, "data")})
	if err != nil {
		t.Fatal(err)
	}
	s.journal = &refusing{Journal: j}
	onward, err := delivery.New(t.Context(), delivery.Options{Journal: s.journal})
	if err != nil {
		t.Fatal(err)
	}
	s.service = &service{cfg: cfg, inUse: cfg, logs: l, reload: r, openAdmin: func(token string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tokens = append(s.tokens, token)
	}}
	s.destinations.Store(&cfg.Destinations)
	s.turn.Store(&turn{onward: onward})
	return s
}

func (s *settingsOf) put(name, content string) {
	s.t.Helper()
	put(s.t, filepath.Join(s.dir, name), content)
}

// run reads settings again, in synctest's time, while test runs.
func (s *settingsOf) run(test func()) {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.reloads(ctx) }()
	test()
	stop()
	if err := errors.Join(<-ended, s.leading().onward.Set(s.t.Context(), nil), s.journal.Close()); err != nil {
		s.t.Error(err)
	}
}

// looks waits for some looks at the files.
func looks(n int) {
	<-time.After(time.Duration(n)*reloadCheck + time.Second)
	synctest.Wait()
}

const tokenOne, tokenTwo = "the-first-admin-token", "the-second-admin-token-of-all"

// TestFailedReload: when the journal can't take new destinations, no setting changes,
// the log says so once, and it is tried again until it succeeds.
func TestFailedReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newSettingsOf(t, dir, tokenOne)
		s.run(func() {
			full := errors.New("no space left on device")
			s.journal.err.Store(&full)
			s.put("token", tokenTwo)
			s.put("config.yaml", "destinations: {billing: {type: exec, command: [/bin/true]}}\n")
			looks(10)
			if len(s.taken()) > 0 || len(*s.destinations.Load()) > 0 {
				t.Errorf("%q and %d destinations were taken", s.taken(), len(*s.destinations.Load()))
			}
			if n := strings.Count(s.log.String(), "no space left on device"); n != 1 {
				t.Errorf("the log says %d times why:\n%s", n, &s.log)
			}
			s.journal.err.Store(nil)
			looks(1)
			if !slices.Equal(s.taken(), []string{tokenTwo}) || len(*s.destinations.Load()) != 1 {
				t.Errorf("%q and %d destinations were taken\n%s", s.taken(), len(*s.destinations.Load()), &s.log)
			}
			looks(10)
			if n := strings.Count(s.log.String(), "settings and secrets read again"); n != 1 {
				t.Errorf("they were taken %d times", n)
			}
		})
	})
}

// TestHalfWrittenSecret: a secret is taken when its file no longer changes, and at once
// after SIGHUP.
func TestHalfWrittenSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newSettingsOf(t, dir, tokenOne)
		s.run(func() {
			looks(3)
			s.put("token", tokenTwo[:16]) // long enough for a token
			looks(1)
			s.put("token", tokenTwo)
			looks(2)
			if !slices.Equal(s.taken(), []string{tokenTwo}) {
				t.Errorf("%q were taken", s.taken())
			}
			s.put("token", tokenOne)
			s.hangUp <- syscall.SIGHUP
			synctest.Wait()
			if !slices.Equal(s.taken(), []string{tokenTwo, tokenOne}) {
				t.Errorf("%q were taken", s.taken())
			}
		})
	})
}

// TestClaimedSettings: a node of a cluster claims the settings that it uses. Of a file that
// was read while it runs, that is not all.
func TestClaimedSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		const destination = "destinations: {billing: {type: exec, command: [/bin/true]}}\n"
		s := newSettingsOf(t, dir, tokenOne)
		backlog := clusterSettings(s.cfg)["BACKLOG_MAX"]
		s.run(func() {
			s.put("config.yaml", "backlog_max: 1GiB\n"+destination)
			looks(2)
			claim := clusterSettings(s.inUse)
			if claim["BACKLOG_MAX"] != backlog || claim["destination billing"] == "" || s.inUse.AdminToken.Reveal() != tokenOne {
				t.Errorf("%q", claim)
			}
			const fixed = `"settings":["BACKLOG_MAX"]`
			if n := strings.Count(s.log.String(), fixed); n != 1 {
				t.Errorf("the log says %d times that it needs a restart:\n%s", n, &s.log)
			}
			s.put("token", tokenTwo)
			looks(2)
			if claim := clusterSettings(s.inUse); claim["BACKLOG_MAX"] != backlog || s.inUse.AdminToken.Reveal() != tokenTwo {
				t.Errorf("%q", claim)
			}
			if n := strings.Count(s.log.String(), fixed); n != 2 {
				t.Errorf("the log says %d times that it needs a restart:\n%s", n, &s.log)
			}
			s.put("config.yaml", "backlog_max: \""+backlog+"\"\n")
			looks(2)
			if claim := clusterSettings(s.inUse); claim["BACKLOG_MAX"] != backlog || claim["destination billing"] != "" {
				t.Errorf("%q", claim)
			}
		})
	})
}
