package fakekazoo

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Kazoo is the fake. Its methods may be called concurrently.
type Kazoo struct {
	opt     Options
	version version
	clock   *clock
	rand    *random
	log     zerolog.Logger
	faults  *faultSet
	truth   *truth
	flight  *flight
	client  *sender
	buckets *buckets

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu       sync.Mutex
	accounts map[string]*account // by id
	order    []*account          // as they were created
	docs     map[string]*document
	hooks    map[string]*hook
	app      application
	views    views
	offer    Offer
	fresh    bool
	serial   int64 // orders hooks and attempts
	failures map[string][]failure
	sessions map[string]*session
	logins   []login
	closed   bool
	started  time.Time // in real time

	stopTraffic context.CancelFunc
}

// New starts a fake Kazoo. It panics if the options contradict themselves (an
// account with an unknown parent, an unknown version): they are part of a
// program, not input. Close it.
func New(opt Options) *Kazoo {
	opt = opt.withDefaults()
	k := &Kazoo{
		opt:      opt,
		clock:    &clock{read: opt.Now, speed: opt.Speed},
		rand:     newRandom(opt.Seed),
		started:  time.Now(),
		log:      opt.Log,
		truth:    newTruth(),
		flight:   &flight{},
		accounts: map[string]*account{},
		docs:     map[string]*document{},
		hooks:    map[string]*hook{},
		app:      application{table: map[string]hook{}, delay: opt.HookDelay},
		views:    views{lag: opt.ViewLag, names: opt.LaggingViews},
		fresh:    opt.Fresh,
		failures: map[string][]failure{},
		sessions: map[string]*session{},
	}
	switch opt.Version {
	case "", "4.3", "4":
		k.version = version43
	case "5":
		k.version = version5
	default:
		panic(fmt.Sprintf("fakekazoo: unknown version %q", opt.Version))
	}
	k.faults = newFaultSet(k.rand)
	k.buckets = newBuckets(k.clock, opt.BucketsOff)
	k.client = newSender(k.clock, opt)
	for _, a := range opt.Accounts {
		if _, err := k.addAccount(a); err != nil {
			panic("fakekazoo: " + err.Error())
		}
	}
	home := k.findAccount(opt.LoginAccount)
	if home == nil {
		home = k.order[0]
	}
	home.apiKey = opt.APIKey
	k.logins = []login{{account: home, username: opt.Username, password: opt.Password}}
	k.ctx, k.stop = context.WithCancel(context.Background())
	k.wg.Go(k.watchFailures)
	return k
}

// Close stops everything: it ends retries and cuts requests in flight.
func (k *Kazoo) Close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.stop()
	k.wg.Wait()
	k.client.close()
}

// Idle returns when no firing is under way, including those that wait for a
// retry or for a Retry-After to pass.
func (k *Kazoo) Idle(ctx context.Context) error { return k.flight.wait(ctx) }

// API is the Crossbar API, under /v2/.
func (k *Kazoo) API() http.Handler { return http.HandlerFunc(k.serveAPI) }

// Handler is API.
func (k *Kazoo) Handler() http.Handler { return k.API() }

// AccountID is the account that the default login belongs to.
func (k *Kazoo) AccountID() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.logins[0].account.ID
}

// flight counts firings.
type flight struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n drops to 0; nil while nobody waits
}

func (f *flight) add() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
}

func (f *flight) done() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	if f.n == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

func (f *flight) wait(ctx context.Context) error {
	f.mu.Lock()
	if f.n == 0 {
		f.mu.Unlock()
		return nil
	}
	if f.idle == nil {
		f.idle = make(chan struct{})
	}
	idle := f.idle
	f.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *flight) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}
