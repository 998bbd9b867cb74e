package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/consumer"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/registration"
)

// journalHealth is a journal that can't take events, or one that is damaged but can.
type journalHealth struct{ err error }

func (j journalHealth) Health() error {
	if errors.Is(j.err, journal.ErrCorrupt) {
		return nil
	}
	return j.err
}

func (j journalHealth) Trouble() error {
	if errors.Is(j.err, journal.ErrCorrupt) {
		return j.err
	}
	return nil
}

// TestReadyChecks lists what makes the service not ready: the public reason, the
// operator's detail, and since when.
func TestReadyChecks(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	on := registration.HookStatus{Name: "us user", ID: "h1", Enabled: true, LastGood: ago(time.Second)}
	well := func(change func(*registration.Status)) registration.Status {
		s := registration.Status{AccountID: "a1b2", AccountName: "acme", OKAt: ago(10 * time.Second), CheckedAt: ago(10 * time.Second), Hooks: []registration.HookStatus{on}}
		change(&s)
		return s
	}
	for name, tc := range map[string]struct {
		status         registration.Status
		interval       time.Duration
		started        time.Duration // how long ago
		journal        error
		failing        []registration.Failing
		recovered      registration.RecoverStats
		fails          string // name of the check, "" for none
		reason, detail string
		since          time.Duration // how long ago
	}{
		"a damaged journal": {interval: time.Minute, status: well(func(*registration.Status) {}), journal: fmt.Errorf("%w: 3 events can't be read", journal.ErrCorrupt),
			fails: "journal", reason: "the journal is damaged", detail: "all that can be read are delivered, but: journal damaged: 3 events"},
		"all well":                       {status: well(func(*registration.Status) {}), interval: time.Minute},
		"the API away for two intervals": {interval: time.Minute, status: well(func(s *registration.Status) { s.OKAt, s.Error = ago(2*time.Minute), "no answer" })},
		"the API away for three": {interval: time.Minute, status: well(func(s *registration.Status) { s.OKAt, s.Error = ago(3*time.Minute), "no answer" }),
			fails: "kazoo", reason: "nobody knows whether the hooks fire", detail: "kazoohook doctor looks at each step: no answer", since: 3 * time.Minute},
		"a short interval: at least a minute": {interval: time.Second, status: well(func(s *registration.Status) { s.OKAt = ago(59 * time.Second) })},
		"a short interval, a minute":          {interval: time.Second, status: well(func(s *registration.Status) { s.OKAt = ago(time.Minute) }), fails: "kazoo", reason: "could not be asked", since: time.Minute},
		"the account is deleted": {interval: time.Minute, status: well(func(s *registration.Status) { s.Cause, s.Error = registration.CauseAccount, "404 bad identifier" }),
			fails: "kazoo", reason: "the Kazoo account is deleted", detail: "the account acme doesn't exist; its hooks were deleted with it. If that was meant, stop this service"},
		"the login is refused": {interval: time.Minute, status: well(func(s *registration.Status) { s.Cause, s.Error = registration.CauseLogin, "401" }),
			fails: "kazoo", reason: "Kazoo refuses the login: its account may be deleted", detail: "Look whether the account and its user or API key still exist, correct the login and restart: 401"},
		"the signing keys can't be read": {interval: time.Minute, status: well(func(s *registration.Status) {
			s.OKAt, s.Cause, s.Error = ago(3*time.Minute), registration.CauseKeys, "read the signing keys: /data/hook_key can't be read by this user"
		}), fails: "kazoo", reason: "the keys with which Kazoo signs can't be read from DATA_DIR", detail: "the hooks are checked all the same: read the signing keys: /data/hook_key can't"},
		"no pass since the start": {interval: time.Minute, started: 3 * time.Minute, status: registration.Status{Error: "no answer"},
			fails: "kazoo hooks", reason: "nobody knows", detail: "no answer"},
		"just started":          {interval: time.Minute, fails: "hooks", reason: "the hooks have not been checked yet", detail: "the hooks have not been checked yet"},
		"the first pass failed": {interval: time.Minute, status: registration.Status{Error: "no answer"}, fails: "hooks", reason: "the hooks have not been checked yet", detail: "the hooks have not been checked yet: no answer"},
		"a hook is off": {interval: time.Minute, status: well(func(s *registration.Status) {
			s.Hooks = append(s.Hooks, registration.HookStatus{Name: "us calls", ID: "h2", DisableReason: "too many failed attempts", LastGood: ago(40 * time.Second)})
		}), fails: "hooks", reason: "not every hook is registered and enabled", detail: "hook us calls is switched off in Kazoo: too many failed attempts", since: 40 * time.Second},
		"a hook is missing": {interval: time.Minute, status: well(func(s *registration.Status) { s.Hooks[0] = registration.HookStatus{Name: "us user"} }),
			fails: "hooks", reason: "not every hook", detail: "hook us user is not registered"},
		"the offer lacks one": {interval: time.Minute, status: well(func(s *registration.Status) { s.Problems = []string{"this Kazoo offers no hook sms"} }),
			fails: "hooks", reason: "not every hook", detail: "offers no hook sms"},
		"the offer is empty": {interval: time.Minute, status: well(func(s *registration.Status) { s.Hooks = nil }), fails: "hooks", reason: "no hook is registered", detail: "asked again"},
		"the journal is full": {interval: time.Minute, status: well(func(*registration.Status) {}), journal: errors.New("no space left on device in /data"),
			fails: "journal", reason: "events can't be kept", detail: "no space left on device in /data. Kazoo is asked to send them again. Make room"},
		"the disk does not answer": {interval: time.Minute, status: well(func(s *registration.Status) { s.OKAt = ago(time.Hour) }), journal: fmt.Errorf("%w: writing in /data has not ended for 6s", journal.ErrStalled),
			fails: "journal kazoo", reason: "the disk does not answer", detail: "Look at the storage of DATA_DIR"},
		"an account that has just begun to fail": {interval: time.Minute, status: well(func(*registration.Status) {}),
			failing: []registration.Failing{{Account: "stuck", Type: "user", Since: ago(59 * time.Second), Error: "500"}}},
		"an account fails": {interval: time.Minute, status: well(func(*registration.Status) {}),
			failing: []registration.Failing{{Account: "new", Type: "user", Since: ago(time.Second), Error: "500"}, {Account: "stuck", Type: "user", Since: ago(time.Hour), Error: "500 init failed"}},
			fails:   "objects", reason: "the objects of some accounts", detail: "user objects of account stuck since 2026-03-02T11:00:00Z: 500 init failed", since: time.Hour},
		"many fail": {interval: time.Minute, status: well(func(*registration.Status) {}),
			failing: slices.Repeat([]registration.Failing{{Account: "stuck", Type: "user", Since: ago(time.Hour), Error: "500"}}, 5),
			fails:   "objects", reason: "the objects of some accounts", detail: "and 2 more", since: time.Hour},
		"the record has just begun to fail": {interval: time.Minute, status: well(func(*registration.Status) {}),
			recovered: registration.RecoverStats{FailingSince: ago(59 * time.Second), Error: "500"}},
		"the record can't be read": {interval: time.Minute, status: well(func(*registration.Status) {}),
			recovered: registration.RecoverStats{FailingSince: ago(time.Hour), Error: "500 datastore_fault"},
			fails:     "attempts", reason: "Kazoo's record of failed attempts can't be read", detail: "is not recovered; everything else goes on. Look at Kazoo's log, or at the rights of the login; it is tried again by itself. 500 datastore_fault", since: time.Hour},
	} {
		r := &readyChecks{journal: journalHealth{tc.journal}, failing: func() []registration.Failing { return tc.failing }, recovered: func() registration.RecoverStats { return tc.recovered }, status: func() registration.Status { return tc.status }, interval: tc.interval,
			now: func() time.Time { return now }, started: ago(tc.started)}
		var failed []string
		for _, c := range r.checks(t.Context()) {
			if c.OK {
				continue
			}
			failed = append(failed, c.Name)
			if len(failed) > 1 {
				continue
			}
			if !strings.Contains(c.Reason, tc.reason) || !strings.Contains(c.Detail, tc.detail) || c.Detail == "" {
				t.Errorf("%s: %q, %q", name, c.Reason, c.Detail)
			}
			if want := ago(tc.since); tc.started == 0 && !c.Since.Equal(want) {
				t.Errorf("%s: since %v, want %v", name, c.Since, want)
			}
		}
		if got := strings.Join(failed, " "); got != tc.fails {
			t.Errorf("%s: %q fail, want %q", name, got, tc.fails)
		}
	}
}

// TestKazooCheckOfAHungDisk: Kazoo's API isn't blamed when it is the journal for which
// the checks of the hooks wait.
func TestKazooCheckOfAHungDisk(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := &readyChecks{journal: journalHealth{journal.ErrStalled}, interval: time.Minute}
	c := r.kazooCheck(registration.Status{OKAt: now.Add(-time.Hour)}, now)
	if c.OK || strings.Contains(c.Detail, "API") || !strings.Contains(c.Detail, "the disk does not answer") {
		t.Errorf("%+v", c)
	}
}

// TestReadySince: a failure keeps its time while it lasts, and a new failure has a new
// time.
func TestReadySince(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	health := &journalHealth{}
	r := &readyChecks{journal: health, now: func() time.Time { return now }, interval: time.Hour, started: now,
		status: func() registration.Status {
			return registration.Status{OKAt: now, Hooks: []registration.HookStatus{{ID: "h", Enabled: true}}}
		}}
	since := func() time.Time {
		for _, c := range r.checks(t.Context()) {
			if c.Name == "journal" {
				return c.Since
			}
		}
		return time.Time{}
	}
	begun := now
	for range 3 {
		health.err = errors.New("full")
		if got := since(); !got.Equal(begun) {
			t.Errorf("since %v, want %v", got, begun)
		}
		now = now.Add(time.Minute)
	}
	health.err = nil
	if got := since(); !got.IsZero() {
		t.Errorf("well since %v", got)
	}
	health.err = errors.New("full again")
	if got := since(); !got.Equal(now) {
		t.Errorf("since %v, want %v", got, now)
	}
}

// failingSink fails to handle anything.
type failingSink struct{}

func (failingSink) Handle(context.Context, []event.Record) error { return errors.New("pipe is closed") }

// oneRecord is a journal that always has an event to read.
type oneRecord struct{}

func (oneRecord) Read(context.Context, int64, int) ([]event.Record, error) {
	return []event.Record{{Seq: 1}}, nil
}
func (oneRecord) Wait(context.Context, int64) error                      { return nil }
func (oneRecord) Cursor(context.Context, string) (int64, error)          { return 0, nil }
func (oneRecord) MoveCursor(context.Context, string, int64, int64) error { return nil }

func TestStuckConsumerIsNotReady(t *testing.T) {
	t.Parallel()
	c := consumer.NewConsumer(oneRecord{}, failingSink{}, consumer.Options{Name: "log"})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	begun := time.Now()
	go func() { done <- c.Run(ctx) }()
	for c.Failures() == 0 {
		time.Sleep(time.Millisecond)
	}
	if got := consumersCheck([]*consumer.Consumer{c}, time.Now()); !got.OK {
		t.Errorf("at once: %+v", got)
	}
	got := consumersCheck([]*consumer.Consumer{c}, time.Now().Add(stuckAfter))
	if got.OK || !strings.Contains(got.Detail, "log: ") || !strings.Contains(got.Detail, "pipe is closed") || got.Since.Before(begun) || got.Since.After(time.Now()) {
		t.Errorf("after a minute: %+v", got)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestDeletedAccountIsNotReady: the account is deleted, with its hooks. /readyz says so
// and what to do; /healthz stays 200.
func TestDeletedAccountIsNotReady(t *testing.T) {
	t.Parallel()
	s := newScene(t, "RECONCILE_INTERVAL=1s")
	if got := s.get(s.public + "/readyz"); got.status != http.StatusOK {
		t.Fatalf("%+v", got)
	}
	ours := s.AccountID()
	for _, a := range slices.Backward(s.Accounts()) { // children first
		if err := s.DeleteAccount(a.ID); err != nil {
			t.Fatal(err)
		}
		if a.ID == ours {
			break
		}
	}
	var got response
	s.until("the account is missed", func() bool {
		got = s.get(s.admin + "/readyz")
		return strings.Contains(got.body, `"name":"kazoo","ok":false`) && strings.Contains(got.body, "Look whether the account and its user or API key still exist")
	})
	if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, `"since":"20`) {
		t.Errorf("%+v", got)
	}
	if got := s.get(s.public + "/readyz"); got.status != http.StatusServiceUnavailable || strings.Contains(got.body, ours) || !strings.Contains(got.body, "its account may be deleted") {
		t.Errorf("public: %+v", got)
	}
	if got := s.get(s.public + "/healthz"); got.status != http.StatusOK {
		t.Errorf("healthz: %+v", got)
	}
}
