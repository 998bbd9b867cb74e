package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"kazoohook/config"
	"kazoohook/internal/crossbar/crossbartest"
)

// demoCmd is the whole flow in one process, without configuration.
type demoCmd struct {
	For    time.Duration `placeholder:"TIME" help:"Stop after this time; otherwise at Ctrl-C."`
	Rate   float64       `default:"2" help:"Things that happen in the fake Kazoo, a second."`
	Kazoo  string        `enum:"4.3,5" default:"4.3" help:"Which Kazoo to fake: 4.3 or 5."`
	Format string        `enum:"auto,json,console" default:"auto" help:"Form of the log: json, console, or auto: console on a terminal."`
	Keep   string        `name:"data-dir" placeholder:"DIR" help:"Keep the journal there; otherwise it is thrown away at the end."`
}

// demoHooks are what the demo hears of.
const demoHooks = "object:user,object:device,channel_create,channel_answer,channel_destroy,notifications,parking,sms"

// Run starts a fake Kazoo, a receiver, and things that happen.
func (c *demoCmd) Run(ctx context.Context, e *env) error {
	if c.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.For)
		defer cancel()
	}
	dir := c.Keep
	if dir == "" {
		tmp, err := os.MkdirTemp("", "kazoohook-demo-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(tmp) }() // a leftover in the temporary directory does no harm
		dir = tmp
	}
	// Five times as fast as the real one, so that what takes minutes can be seen.
	const speed, users = 5, 25
	f, err := newFake(ctx, crossbartest.Options{Version: c.Kazoo, Speed: speed, Seed: uint64(time.Now().UnixNano())}, "127.0.0.1:0", "127.0.0.1:0", users)
	if err != nil {
		return err
	}
	cfg, err := c.config(ctx, e, f.api, dir)
	if err != nil {
		return err
	}
	l, err := e.newLogs(cfg, e.stdout)
	if err != nil {
		return err
	}
	s, err := newService(ctx, cfg, l)
	if err != nil {
		return err
	}
	if err := c.introduce(e, f, s); err != nil {
		return err
	}

	// The fake outlives the receiver, as Kazoo does.
	kazoo, stopKazoo := context.WithCancel(context.WithoutCancel(ctx))
	defer stopKazoo()
	g, gctx := errgroup.WithContext(kazoo)
	g.Go(func() error { return f.run(gctx) })
	g.Go(func() error {
		defer stopKazoo()
		return s.run(ctx)
	})
	g.Go(func() error {
		c.happen(ctx, f, s)
		return nil
	})
	return g.Wait()
}

// happen is what is to be seen: users who come and go from the first second on,
// calls and messages, and once a hook that Kazoo switches off and the receiver
// repairs.
func (c *demoCmd) happen(ctx context.Context, f *fake, s *service) {
	for ok := false; !ok; ok, _ = s.engine.Reconciler.Status().Ready() {
		if !sleep(ctx, 20*time.Millisecond) {
			return
		}
	}
	if u, err := f.CreateUser(crossbartest.User{AccountID: "acme"}); err == nil && sleep(ctx, 300*time.Millisecond) {
		_ = f.DeleteUser(u.ID) // nothing else deletes it
	}
	f.SetTraffic(c.Rate)
	if !sleep(ctx, c.trouble()) {
		return
	}
	for _, h := range s.engine.Reconciler.Status().Hooks {
		if h.Name == "kazoohook object user doc_deleted" || h.Name == "kazoohook object user all" {
			_ = f.DisableHook(h.ID, "too many failed attempts")
			_, _ = f.DeleteRandomUser("acme") // Kazoo tells nobody of this one
		}
	}
}

// config is what a person would have set.
func (c *demoCmd) config(ctx context.Context, e *env, api, dir string) (*config.Config, error) {
	public, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	admin, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	format := c.Format
	if format == "auto" {
		format = string(config.LogJSON)
		if isTerminal(e.stdout) {
			format = string(config.LogConsole)
		}
	}
	return config.Load(config.Options{Need: config.All, Environ: []string{
		"KAZOO_API_URL=" + api + "/v2", "KAZOO_USERNAME=" + crossbartest.DefaultUsername, "KAZOO_PASSWORD=" + crossbartest.DefaultPassword,
		"KAZOO_ACCOUNT_NAME=acme", "PUBLIC_URL=http://" + public, "HOOKS=" + demoHooks, "INCLUDE_SUBACCOUNTS=true", "LISTEN_ADDR=" + public, "ADMIN_ADDR=" + admin,
		"DATA_DIR=" + dir, "LOG_FORMAT=" + format, "RECONCILE_INTERVAL=5s", "KAZOO_API_RATE=10", "SHUTDOWN_TIMEOUT=3s",
	}})
}

// trouble is how long everything goes well.
func (c *demoCmd) trouble() time.Duration {
	const usual = 20 * time.Second
	if c.For > 0 {
		return min(usual, c.For/4)
	}
	return usual
}

func (c *demoCmd) introduce(e *env, f *fake, s *service) error {
	until := "Ctrl-C"
	if c.For > 0 {
		until = c.For.String() + " are over"
	}
	_, err := fmt.Fprintf(e.stderr, `This is kazoohook with a fake Kazoo %s, both in this process, on loopback only.
The receiver logs in, registers its hooks and prints a line for each event that Kazoo posts: users
come and go, phones ring. After %s Kazoo switches a hook off and a user is deleted that nobody
tells us of: see it noticed and repaired. It runs until %s.

  a page to watch:   %s/
  events so far:     curl -s '%s/api/events?limit=5'
  live stream:       curl -sN '%s/api/events/stream'
  delete a user:     curl -s -X DELETE '%s/users/random?account=acme'
  is it ready?       curl -s '%s/readyz'

`, c.Kazoo, c.trouble(), until, adminURL(s), adminURL(s), adminURL(s), f.control, s.cfg.PublicURL)
	return err
}

func adminURL(s *service) string { return "http://" + s.server.AdminAddr().String() }

// freeAddr finds a loopback address that nobody uses: the receiver has to know
// its own before it listens.
func freeAddr(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return ln.Addr().String(), ln.Close()
}

// sleep waits and reports whether ctx is still there.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
