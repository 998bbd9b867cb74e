package trial

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"kazoohook/internal/fakekazoo"
)

// world is the fake Kazoo with its users, and the record of their changes, by the
// clock of this machine.
type world struct {
	*fakekazoo.Kazoo
	api      string // its URL
	server   *http.Server
	listings *listings
	other    *other

	mu       sync.Mutex
	users    []*user
	numbers  map[int]*user // by the schedule's number
	accounts []string      // ids; the first is the login's
	firings  []firing
}

// user is one of Kazoo's users and what happened to it.
type user struct {
	id      string
	account int
	created time.Time // zero: before the trial
	deleted []time.Time
	revived []time.Time // undeleted
	clock   bool        // the last deletion happened while Kazoo's clock was wrong by more than an hour
}

func (u *user) living() bool { return len(u.deleted) == len(u.revived) }

// firing is a firing that has ended.
type firing struct {
	fakekazoo.Firing
	ended     time.Time // by this machine's clock
	clock     bool      // Kazoo's clock was wrong by more than an hour
	elsewhere bool      // another server than the receiver answered it
	astray    bool      // it was sent to an address that another client had given to the hook
}

// arrived reports whether the receiver has the event: it answered 200.
func (f firing) arrived() bool { return f.Outcome == fakekazoo.OutcomeDelivered && !f.elsewhere }

// failed reports whether Kazoo has a record of the failed attempts, at a time at which
// the receiver looks for it.
func (f firing) failed() bool {
	return (f.Outcome == fakekazoo.OutcomeRefused || f.Outcome == fakekazoo.OutcomeExhausted) && !f.clock
}

func newWorld(ctx context.Context, o Options, wrongClock func() bool) (*world, error) {
	w := &world{listings: newListings(), other: newOther(), numbers: map[int]*user{}}
	w.Kazoo = fakekazoo.New(fakekazoo.Options{
		Version: o.Kazoo, Speed: o.Speed, Seed: o.Seed,
		// Nodes whose clocks differ: Kazoo's record may have firings in the wrong order.
		Nodes: []fakekazoo.Node{
			{Name: "apps1"}, {Name: "apps2", ClockOffset: -7 * time.Minute}, {Name: "apps3", ClockOffset: []time.Duration{-45 * time.Minute, 2 * time.Minute, 40 * time.Minute}[o.Seed%3]},
		},
		HookDelay: time.Duration(o.Speed) * 20 * time.Millisecond,
		OnFiring: func(f fakekazoo.Firing) {
			now := time.Now()
			clock, elsewhere := wrongClock(), f.Outcome == fakekazoo.OutcomeDelivered && w.other.took(f.Body)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.firings = append(w.firings, firing{Firing: f, ended: now, clock: clock, elsewhere: elsewhere, astray: f.URI == deadAddress || f.URI == w.other.server.URL})
		},
	})
	if err := w.settle(o); err != nil {
		w.Kazoo.Close()
		return nil, err
	}
	var err error
	if w.server, w.api, err = ServeAPI(ctx, w.listings.watch(w.API())); err != nil {
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

// settle makes the accounts and the users that exist from the start.
func (w *world) settle(o Options) error {
	for a, n := range seeded(o.Users) {
		id := w.AccountID()
		if a > 0 {
			var err error
			if id, err = w.CreateAccount(fakekazoo.Account{Name: fmt.Sprintf("branch-%d", a)}); err != nil {
				return err
			}
		}
		w.accounts = append(w.accounts, id)
		made, err := w.SeedUsers(id, n)
		if err != nil {
			return err
		}
		for _, u := range made {
			w.add(len(w.users), &user{id: u.ID, account: a})
		}
	}
	return nil
}

func (w *world) add(number int, u *user) {
	w.users = append(w.users, u)
	w.numbers[number] = u
}

func (w *world) close() error {
	err := w.server.Close()
	w.Kazoo.Close()
	w.other.server.Close()
	return err
}

// change makes a step that changes users or accounts; wrongClock says that Kazoo's
// clock is wrong by more than an hour.
func (w *world) change(s Step, wrongClock bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	switch s.Kind {
	case Create:
		u, err := w.CreateUser(fakekazoo.User{AccountID: w.accounts[s.Account]})
		if err == nil {
			w.add(s.User, &user{id: u.ID, account: s.Account, created: now})
		}
		return err
	case DeleteAccount:
		for _, u := range w.users {
			if u.account == s.Account && u.living() {
				u.deleted, u.clock = append(u.deleted, now), wrongClock
			}
		}
		return w.Kazoo.DeleteAccount(w.accounts[s.Account])
	}
	u := w.numbers[s.User]
	switch s.Kind {
	case Delete:
		u.deleted, u.clock = append(u.deleted, now), wrongClock
		return w.DeleteUser(u.id)
	case Edit:
		if !u.living() { // the second of two edits may come too late
			return nil
		}
		return w.EditObject(u.id, map[string]any{"timezone": "Europe/Berlin"})
	case Undelete:
		u.revived = append(u.revived, now)
		return w.Kazoo.Undelete(u.id)
	case SaveAgain:
		return w.SaveDeleted(u.id)
	}
	return fmt.Errorf("no change of users: %s", s.Kind)
}

// everybody returns a copy of the record.
func (w *world) everybody() ([]*user, []firing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]*user, len(w.users))
	for i, u := range w.users {
		c := *u
		out[i] = &c
	}
	return out, append([]firing(nil), w.firings...)
}

// ourHooks are the hooks that the receiver registered.
func (w *world) ourHooks() (ids []string) {
	for _, h := range w.Hooks() {
		ids = append(ids, h.ID)
	}
	return ids
}

// deadAddress is an address where nothing listens.
const deadAddress = "http://127.0.0.1:1/kazoo/elsewhere"

// named returns the ids of the hooks that have the receiver's name.
func (w *world) named() map[string]bool {
	ids := map[string]bool{}
	for _, h := range w.Hooks() {
		var detail struct {
			Name string `json:"name"`
		}
		ids[h.ID] = json.Unmarshal(h.Detail, &detail) == nil && strings.HasPrefix(detail.Name, "kazoohook ")
	}
	return ids
}

// tamper changes a hook as another client might.
func (w *world) tamper(id string, s Step) error {
	fields := map[Change]map[string]any{
		ChangeDeadAddress:  {"uri": deadAddress},
		ChangeOtherAddress: {"uri": w.other.server.URL},
		ChangeType:         {"custom_data": map[string]any{"type": "device", "action": "doc_edited"}},
		ChangeDisabled:     {"enabled": false},
		ChangeHarmless:     {"name": "renamed by somebody"},
	}[s.Change]
	switch {
	case s.Change == ChangeDeleted:
		return w.DeleteHook(id)
	case s.Undo:
		return w.ChangeHookFor(id, fields, s.For)
	}
	return w.ChangeHook(id, fields)
}

// other is the server of another client, to which a changed hook fires. It accepts
// everything.
type other struct {
	server *httptest.Server
	mu     sync.Mutex
	bodies map[string]int
}

func newOther() *other {
	o := &other{bodies: map[string]int{}}
	o.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.bodies[string(body)]++
	}))
	return o
}

// took reports, once for each request, that a body came here.
func (o *other) took(body []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bodies[string(body)] == 0 {
		return false
	}
	o.bodies[string(body)]--
	return true
}
