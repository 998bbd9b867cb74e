package registration

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/journaltest"
)

// stub is a Kazoo in memory, for tests with synctest's fake time.
type stub struct {
	*attemptLog
	mu        sync.Mutex
	listed    int
	loginErr  error
	createErr error
	hooks     []crossbar.Hook
	created   int
	enabled   int
	replaced  int
	details   int                  // readings of one hook
	keeps     func(*crossbar.Hook) // how Kazoo changes a hook that it stores
	offered   []crossbar.OfferedHook
	away      error            // of every listing of hooks
	stuck     map[string]error // by id: of reading a hook
	unlisted  string           // id of a hook that listings lack
	users     []string
	usersErr  error
}

// set changes Kazoo while the engine runs.
func (s *stub) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *stub) ClockOffset() (time.Duration, bool) { return 0, true }

func (s *stub) Attempts(ctx context.Context, account, hookID string, from, to time.Time) iter.Seq2[crossbar.Attempt, error] {
	return func(yield func(crossbar.Attempt, error) bool) {
		var list []crossbar.Attempt
		var err error
		s.set(func() {
			for a, e := range s.attemptLog.Attempts(ctx, account, "", from, to) {
				if err = e; e == nil && (hookID == "" || hookID == a.HookID) {
					list = append(list, a)
				}
			}
		})
		for _, a := range list {
			if !yield(a, nil) {
				return
			}
		}
		if err != nil {
			yield(crossbar.Attempt{}, err)
		}
	}
}

func (s *stub) Login(context.Context) (crossbar.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return crossbar.Account{ID: testAccount, Name: "acme"}, s.loginErr
}

func (s *stub) Offered(context.Context) ([]crossbar.OfferedHook, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offered, nil
}

func (s *stub) Hooks(context.Context, string) (list []crossbar.HookSummary, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return nil, s.away
	}
	for _, h := range s.hooks {
		if h.ID == s.unlisted {
			continue
		}
		list = append(list, crossbar.HookSummary{ID: h.ID, Hook: h.Hook, Name: h.Name, URI: h.URI, Enabled: h.Enabled, DisableReason: h.DisableReason})
	}
	return list, nil
}

func (s *stub) Hook(_ context.Context, _, id string) (crossbar.Hook, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.details++
	if err := s.stuck[id]; err != nil {
		return crossbar.Hook{}, err
	}
	for _, h := range s.hooks {
		if h.ID == id {
			return h, nil
		}
	}
	return crossbar.Hook{}, &crossbar.Error{Op: "hooks.get", Status: http.StatusNotFound}
}

func (s *stub) CreateHook(_ context.Context, _ string, h crossbar.Hook) (crossbar.Hook, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.createErr != nil {
		return h, s.createErr
	}
	s.created++
	h.ID = fmt.Sprintf("h%d", s.created)
	s.hooks = append(s.hooks, h)
	return h, nil
}

func (s *stub) ReplaceHook(_ context.Context, _ string, h crossbar.Hook) (crossbar.Hook, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replaced++
	for i := range s.hooks {
		if s.hooks[i].ID == h.ID {
			if s.keeps != nil {
				s.keeps(&h)
			}
			s.hooks[i] = h
		}
	}
	return h, nil
}

func (s *stub) EnableHook(_ context.Context, _, id string) (h crossbar.Hook, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enabled++
	for i := range s.hooks {
		if s.hooks[i].ID == id {
			s.hooks[i].Enabled, s.hooks[i].DisableReason = true, ""
			h = s.hooks[i]
		}
	}
	return h, nil
}

func (s *stub) DeleteHook(context.Context, string, string) error { return nil }

func (s *stub) Objects(context.Context, string, string) iter.Seq2[crossbar.Object, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed++
	users, err := slices.Clone(s.users), s.usersErr
	return func(yield func(crossbar.Object, error) bool) {
		for _, u := range users {
			if !yield(crossbar.Object{ID: u, Fields: map[string]string{"username": u}}, nil) {
				return
			}
		}
		if err != nil {
			yield(crossbar.Object{}, err)
		}
	}
}

func (s *stub) listings() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listed
}

func (s *stub) Object(_ context.Context, _, _, id string) (crossbar.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.users, id) {
		return crossbar.Object{ID: id}, nil
	}
	return crossbar.Object{}, &crossbar.Error{Op: "objects.get", Status: http.StatusNotFound}
}

func (s *stub) Descendants(context.Context, string) iter.Seq2[crossbar.Account, error] {
	return func(func(crossbar.Account, error) bool) {}
}

// bubble is an engine with a stub of Kazoo, for a synctest bubble.
type bubble struct {
	*Engine
	kazoo   *stub
	j       *journal.Journal
	logged  *logBuffer
	reached time.Time
	desire  func(*Options) // changes the options; may be nil
	own     bool           // events of our own are kept
}

func newBubble(t *testing.T, interval time.Duration) *bubble {
	t.Helper()
	b := &bubble{kazoo: &stub{attemptLog: &attemptLog{now: time.Now}, users: []string{"u1", "u2"},
		offered: []crossbar.OfferedHook{{ID: "object"}}}, logged: &logBuffer{}}
	b.j = openJournal(t, journaltest.MemoryDir(t), time.Now)
	b.renew(interval)
	return b
}

func (b *bubble) renew(interval time.Duration) {
	log := zerolog.New(b.logged)
	reg := reconcilerOptions(testURL)
	reg.Interval, reg.Log = interval, log
	if b.desire != nil {
		b.desire(&reg)
	}
	b.Engine = NewEngine(b.kazoo, b.j, reg, RecoverOptions{Secrets: testSecrets(), Log: log}, ResyncOptions{Specs: deletedUsers, Log: log},
		EngineOptions{ResyncInterval: 6 * time.Hour, Log: log, LastDelivery: func() time.Time { return b.reached }, Notify: b.notify})
}

func (b *bubble) notify(ctx context.Context, o event.Own) {
	if b.own {
		_, _ = b.j.Own(ctx, o) // a missing event fails the test
	}
}
