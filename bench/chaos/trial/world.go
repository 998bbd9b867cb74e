package trial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"kazoohook/internal/crossbar/crossbartest"
)

// world is the fake Kazoo with its users, and the record of what was done to
// them.
type world struct {
	*crossbartest.Kazoo
	api    string // its URL
	server *http.Server

	mu       sync.Mutex
	users    []*user
	accounts []string // ids; the first is the login's
}

// user is one of Kazoo's users and what happened to it, by the clock of this
// machine.
type user struct {
	id      string
	account int
	created time.Time // zero: was always there
	deleted []time.Time
	revived []time.Time // undeleted
	clock   bool        // the last deletion happened while Kazoo's clock was wrong
}

func (u *user) living() bool { return len(u.deleted) == len(u.revived) }

func newWorld(ctx context.Context, o Options) (*world, error) {
	w := &world{Kazoo: crossbartest.New(crossbartest.Options{Version: o.Kazoo, Speed: o.Speed, Seed: o.Seed})}
	if err := w.settle(o); err != nil {
		w.Kazoo.Close()
		return nil, err
	}
	var err error
	if w.server, w.api, err = ServeAPI(ctx, w.API()); err != nil {
		w.Kazoo.Close()
		return nil, err
	}
	return w, nil
}

// ServeAPI serves a fake Kazoo's API on loopback until the server is closed and
// returns its URL.
func ServeAPI(ctx context.Context, api http.Handler) (*http.Server, string, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", fmt.Errorf("bind the fake Kazoo: %w", err)
	}
	server := &http.Server{Handler: api, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(ln) }() // ends with Close
	return server, "http://" + ln.Addr().String() + "/v2", nil
}

// settle makes the accounts and the users who were always there.
func (w *world) settle(o Options) error {
	for a, n := range seeded(o.Users) {
		id := w.AccountID()
		if a > 0 {
			var err error
			if id, err = w.CreateAccount(crossbartest.Account{Name: fmt.Sprintf("branch-%d", a)}); err != nil {
				return err
			}
		}
		w.accounts = append(w.accounts, id)
		made, err := w.SeedUsers(id, n)
		if err != nil {
			return err
		}
		for _, u := range made {
			w.users = append(w.users, &user{id: u.ID, account: a})
		}
	}
	return nil
}

func (w *world) close() error {
	err := w.server.Close()
	w.Kazoo.Close()
	return err
}

// change does a step that changes who exists; wrongClock says that Kazoo's clock
// is off.
func (w *world) change(s Step, wrongClock bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	switch s.Kind {
	case Create:
		u, err := w.CreateUser(crossbartest.User{AccountID: w.accounts[s.Account]})
		if err != nil {
			return err
		}
		if len(w.users) != s.User {
			return errors.New("the schedule counts users otherwise")
		}
		w.users = append(w.users, &user{id: u.ID, account: s.Account, created: now})
		return nil
	case DeleteAccount:
		for _, u := range w.users {
			if u.account == s.Account && u.living() {
				u.deleted, u.clock = append(u.deleted, now), wrongClock
			}
		}
		return w.Kazoo.DeleteAccount(w.accounts[s.Account])
	}
	u := w.users[s.User]
	switch s.Kind {
	case Delete:
		u.deleted, u.clock = append(u.deleted, now), wrongClock
		return w.DeleteUser(u.id)
	case Undelete:
		u.revived = append(u.revived, now)
		return w.Kazoo.Undelete(u.id)
	case SaveAgain:
		return w.SaveDeleted(u.id)
	}
	return fmt.Errorf("no change of users: %s", s.Kind)
}

// everybody is a copy of the record.
func (w *world) everybody() []*user {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]*user, len(w.users))
	for i, u := range w.users {
		c := *u
		out[i] = &c
	}
	return out
}

// ourHooks are the hooks that the receiver registered.
func (w *world) ourHooks() (ids []string) {
	for _, h := range w.Hooks() {
		ids = append(ids, h.ID)
	}
	return ids
}
