package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"kazoohook/config"
	"kazoohook/internal/fakekazoo"
)

// demoCmd shows the whole flow in one process, without configuration.
type demoCmd struct {
	For    limitFlag `placeholder:"TIME" help:"Stop after this time; otherwise at Ctrl-C."`
	Rate   float64   `default:"2" help:"Things that happen in the fake Kazoo, a second."`
	Kazoo  string    `enum:"4.3,5" default:"4.3" help:"Which Kazoo to fake: 4.3 or 5."`
	Format string    `enum:"auto,json,console" default:"auto" help:"Form of the log: json, console, or auto: console on a terminal."`
	Keep   string    `name:"data-dir" placeholder:"DIR" help:"Keep the journal there; otherwise it is thrown away at the end."`
}

// demoHooks are the events that the demo receives.
const demoHooks = "object:user,object:device,channel_create,channel_answer,channel_destroy,notifications,parking,sms"

// Run starts a fake Kazoo, a receiver, and things that happen.
func (c *demoCmd) Run(ctx context.Context, e *env) error {
	if c.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(c.For))
		defer cancel()
	}
	if err := c.introduce(e); err != nil {
		return err
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
	// Five times as fast as the real one, to show what takes minutes.
	const speed, users = 5, 25
	f, err := newFake(ctx, fakekazoo.Options{Version: c.Kazoo, Speed: speed, Seed: uint64(time.Now().UnixNano())}, "127.0.0.1:0", "127.0.0.1:0", users)
	if err != nil {
		return err
	}
	billing, err := newDemoDestination(ctx)
	if err != nil {
		return err
	}
	defer billing.close()
	s, err := c.service(ctx, e, f.api, dir, billing)
	if err != nil {
		return err
	}
	if err := c.addresses(e, f, s); err != nil {
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
	g.Go(func() error {
		billing.happen(ctx, s, c.trouble()/3, c.trouble()/3)
		return nil
	})
	err = g.Wait()
	s.logs.flush()
	return errors.Join(err, summarize(e.stderr, s, billing))
}

// summarize describes what happened.
func summarize(w io.Writer, s *service, billing *demoDestination) error {
	counts, total := s.measured.events.counts()
	var names []string
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	const most = 8
	var list []string
	for _, name := range names[:min(len(names), most)] {
		list = append(list, fmt.Sprintf("%d %s", counts[name], name))
	}
	if more := len(names) - most; more > 0 {
		list = append(list, fmt.Sprintf("%d more kinds", more))
	}
	o := s.leading().engine.Overview()
	_, err := fmt.Fprintf(w, `
Seen: %s (%s).
Repaired: Kazoo switched a hook off, and it was enabled again: %s.
Recovered from Kazoo's record of failed attempts: %s. Found by comparing all objects: %s.
%s
`, counted(total, "event"), strings.Join(list, ", "), counted(o.Registration.Repairs, "time"),
		counted(o.Recover.Recovered, "event"), counted(o.Resync.Deleted+o.Resync.Created, "event"), billing.summary())
	return err
}

// happen makes the demo's events: users are created and deleted from the first
// second on, calls and messages follow, and once Kazoo switches a hook off and the
// receiver repairs it.
func (c *demoCmd) happen(ctx context.Context, f *fake, s *service) {
	for ok := false; !ok; ok, _ = s.leading().engine.Reconciler.Status().Ready() {
		if !sleep(ctx, 20*time.Millisecond) {
			return
		}
	}
	if u, err := f.CreateUser(fakekazoo.User{AccountID: "acme"}); err == nil && sleep(ctx, 300*time.Millisecond) {
		_ = f.DeleteUser(u.ID) // only this code deletes it
	}
	f.SetTraffic(c.Rate)
	if sleep(ctx, c.trouble()) {
		c.fail(ctx, f)
	}
}

// fail makes deliveries of users and devices fail until Kazoo has switched a hook
// off. Then one more user is deleted, of which Kazoo keeps no record.
func (c *demoCmd) fail(ctx context.Context, f *fake) {
	fault, err := f.Inject(fakekazoo.Fault{Kind: fakekazoo.FaultRefuse, Op: "object", ClientError: "failed_connect: econnrefused"})
	if err != nil {
		return
	}
	defer f.ClearFault(fault)
	for deleted := 0; ; {
		if deleted < 3 { // each is tried four times; six failures are enough
			if id, err := f.DeleteRandomUser("acme"); err == nil && id != "" {
				deleted++
			}
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return
		}
		for _, h := range f.Hooks() {
			if !h.Enabled && strings.Contains(string(h.Detail), "doc_deleted") || !h.Enabled && strings.Contains(string(h.Detail), `"all"`) {
				_, _ = f.DeleteRandomUser("acme")
				return
			}
		}
	}
}

// service starts the receiver. It tries again if another program takes the address
// first.
func (c *demoCmd) service(ctx context.Context, e *env, api, dir string, billing *demoDestination) (s *service, err error) {
	for range 5 {
		cfg, err := c.config(ctx, e, api, dir)
		if err != nil {
			return nil, err
		}
		cfg.Destinations = []config.Destination{billing.settings()}
		l, err := e.newLogs(cfg, e.stdout)
		if err != nil {
			return nil, err
		}
		if s, err = newService(ctx, cfg, l); !errors.Is(err, syscall.EADDRINUSE) {
			return s, err
		}
	}
	return s, err
}

// config returns the settings that an operator would give.
func (c *demoCmd) config(ctx context.Context, e *env, api, dir string) (*config.Config, error) {
	public, err := freeAddr(ctx)
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
		"KAZOO_API_URL=" + api + "/v2", "KAZOO_USERNAME=" + fakekazoo.DefaultUsername, "KAZOO_PASSWORD=" + fakekazoo.DefaultPassword,
		"KAZOO_ACCOUNT_NAME=acme", "PUBLIC_URL=http://" + public, "HOOKS=" + demoHooks, "INCLUDE_SUBACCOUNTS=true", "LISTEN_ADDR=" + public, "ADMIN_ADDR=127.0.0.1:0",
		"DATA_DIR=" + dir, "LOG_FORMAT=" + format, "RECONCILE_INTERVAL=5s", "RESYNC_INTERVAL=10s", "KAZOO_API_RATE=10",
	}})
}

// trouble returns the time of the first failure.
func (c *demoCmd) trouble() time.Duration {
	const usual = 20 * time.Second
	if c.For > 0 {
		return min(usual, time.Duration(c.For)/4)
	}
	return usual
}

// introduce describes what will happen.
func (c *demoCmd) introduce(e *env) error {
	until := "Ctrl-C"
	if c.For > 0 {
		until = time.Duration(c.For).String() + " are over"
	}
	_, err := fmt.Fprintf(e.stderr, `This is kazoohook with a fake Kazoo %s, both in this process, on loopback only.
The receiver logs in, registers its hooks and prints a line for each event that Kazoo posts: users
come and go, phones ring. After %s Kazoo can't deliver some deletions and switches a hook off:
see the receiver repair it and recover what was missed. Every event is delivered to a destination,
%s, which is down for a while and then refuses an event: see retries, a dead letter and its
redelivery. It runs until %s.

`, c.Kazoo, c.trouble(), demoDestinationName, until)
	return err
}

// addresses prints the addresses and commands to try.
func (c *demoCmd) addresses(e *env, f *fake, s *service) error {
	_, err := fmt.Fprintf(e.stderr, `  a page to watch:   %s/
  events so far:     curl -s '%s/api/events?limit=5'
  live stream:       curl -sN '%s/api/events/stream'
  delete a user:     curl -s -X DELETE '%s/users/random?account=acme'
  is it alive?       curl -s '%s/healthz'

`, adminURL(s), adminURL(s), adminURL(s), f.control, s.cfg.PublicURL)
	return err
}

func adminURL(s *service) string { return "http://" + s.server.AdminAddr().String() }

// freeAddr finds a free loopback address: the receiver needs to know its own before
// it listens.
func freeAddr(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return ln.Addr().String(), ln.Close()
}

// sleep waits and reports whether ctx has not ended.
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
