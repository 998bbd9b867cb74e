package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"kazoohook/internal/fakekazoo"
)

// fakeCmd runs the fake Kazoo alone.
type fakeCmd struct {
	Listen         string  `default:"127.0.0.1:8000" help:"Address of the API."`
	Control        string  `default:"127.0.0.1:8001" help:"Address of the control API, which makes things happen and go wrong. It asks for no login."`
	Version        string  `name:"kazoo" enum:"4.3,5" default:"4.3" help:"Which Kazoo to be: 4.3 or 5."`
	Speed          float64 `default:"1" help:"Divides Kazoo's own waiting times: its pauses between tries, its window of failures."`
	Users          int     `default:"25" help:"Users that exist at the start."`
	Rate           float64 `default:"0" help:"Things that happen by themselves, a second."`
	Seed           uint64  `default:"1" help:"Makes names and ids repeatable."`
	RefuseLoopback bool    `help:"Refuse hooks on loopback addresses, as the real one does."`

	LoginCost      float64         `default:"1" help:"Tokens that a login takes: 1, or 35 where an operator set token_costs to an object."`
	Fresh          bool            `help:"Answer 503 to an unknown hook, as a Crossbar does that was not restarted since the hooks first registered."`
	HookDelay      time.Duration   `default:"50ms" help:"How long a change of a hook takes until it is fired by."`
	ViewLag        time.Duration   `help:"How long listings lag behind the objects."`
	NodeClock      []time.Duration `help:"Offset of the clock of one node of the webhooks application; repeat it for each node."`
	Version2       string          `name:"version2" enum:"kept,dropped,refused" default:"kept" help:"What Kazoo 5 does with version v2 of a hook: kept, dropped or refused."`
	IntegerIolists bool            `help:"Store single bytes of failed form bodies as integers."`
}

// options returns the options of the fake.
func (c *fakeCmd) options() fakekazoo.Options {
	opt := fakekazoo.Options{
		Version: c.Version, Speed: c.Speed, Seed: c.Seed, RefuseLoopback: c.RefuseLoopback, LoginCost: c.LoginCost,
		Fresh: c.Fresh, HookDelay: c.HookDelay, ViewLag: c.ViewLag, Version2: c.Version2, IntegerIolists: c.IntegerIolists,
	}
	for i, offset := range c.NodeClock {
		opt.Nodes = append(opt.Nodes, fakekazoo.Node{Name: fmt.Sprintf("kazoo_apps@apps%d.example.org", i+1), ClockOffset: offset})
	}
	return opt
}

// Run serves until ctx ends.
func (c *fakeCmd) Run(ctx context.Context, e *env) error {
	opt := c.options()
	opt.Log = zerolog.New(e.stderr).Level(zerolog.InfoLevel)
	f, err := newFake(ctx, opt, c.Listen, c.Control, c.Users)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(e.stderr, "fake Kazoo %s: API %s/v2, control %s\nlogin: user %s, password %q, account acme; or the API key %s\n",
		c.Version, f.api, f.control, fakekazoo.DefaultUsername, fakekazoo.DefaultPassword, fakekazoo.DefaultAPIKey); err != nil {
		return err
	}
	f.SetTraffic(c.Rate)
	return f.run(ctx)
}

// fake is a fake Kazoo with its two listeners bound.
type fake struct {
	*fakekazoo.Kazoo
	api, control string // their URLs
	servers      []*http.Server
	listeners    []net.Listener
}

// newFake starts a fake Kazoo in which some users exist.
func newFake(ctx context.Context, opt fakekazoo.Options, api, control string, users int) (*fake, error) {
	f := &fake{}
	var lc net.ListenConfig
	for _, addr := range []string{api, control} {
		ln, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("bind the fake Kazoo: %w", err), f.closeListeners())
		}
		f.listeners = append(f.listeners, ln)
	}
	f.Kazoo = fakekazoo.New(opt)
	if _, err := f.SeedUsers("acme", users); err != nil {
		f.Close()
		return nil, errors.Join(err, f.closeListeners())
	}
	f.api, f.control = "http://"+f.listeners[0].Addr().String(), "http://"+f.listeners[1].Addr().String()
	for _, h := range []http.Handler{f.API(), f.Control()} {
		f.servers = append(f.servers, &http.Server{Handler: h, ReadHeaderTimeout: readTimeout})
	}
	return f, nil
}

func (f *fake) closeListeners() error {
	var errs []error
	for _, ln := range f.listeners {
		errs = append(errs, ln.Close())
	}
	return errors.Join(errs...)
}

// run serves until ctx ends.
func (f *fake) run(ctx context.Context) error {
	defer f.Close()
	g, ctx := errgroup.WithContext(ctx)
	for i, srv := range f.servers {
		g.Go(func() error {
			if err := srv.Serve(f.listeners[i]); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
		g.Go(func() error {
			<-ctx.Done()
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			if srv.Shutdown(stop) != nil {
				return srv.Close()
			}
			return nil
		})
	}
	return g.Wait()
}
