package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// errSenderClosed is the error of an attempt that begins after Close.
var errSenderClosed = errors.New("the destination was closed")

// connection holds the one connection of a sender. It is opened when it is first
// needed, and again after it was lost. Attempts that need it meanwhile wait for the
// same opening and share its result.
type connection[C any] struct {
	name    string // of the server, for errors
	open    func(context.Context) (C, error)
	alive   func(C) bool
	drop    func(C) // returns at once
	timeout time.Duration

	flight singleflight.Group
	mu     sync.Mutex
	has    bool // mu: now is a connection
	closed bool // mu
	now    C    // mu
}

// get returns the connection. It returns soon after ctx ends; the opening then goes on
// for the next attempt, within its own timeout. The error is one sentence.
func (c *connection[C]) get(ctx context.Context) (C, error) {
	got, err := c.shared(ctx)
	if err != nil {
		if interrupted := interrupted(ctx, err, c.name, c.timeout); interrupted != nil {
			err = interrupted
		}
	}
	return got, err
}

func (c *connection[C]) shared(ctx context.Context) (C, error) {
	var none C
	c.mu.Lock()
	now, ok, closed := c.now, c.has, c.closed
	c.mu.Unlock()
	switch {
	case closed:
		return none, errSenderClosed
	case ok && c.alive(now):
		return now, nil
	}
	done := c.flight.DoChan("", func() (any, error) { return c.reopen(ctx) })
	select {
	case r := <-done:
		if r.Err != nil {
			return none, r.Err
		}
		got, _ := r.Val.(C) // reopen returns a C
		return got, nil
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// reopen opens the connection, unless another call just did.
func (c *connection[C]) reopen(ctx context.Context) (C, error) {
	var none C
	c.mu.Lock()
	now, ok := c.now, c.has
	c.mu.Unlock()
	if ok && c.alive(now) {
		return now, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
	defer cancel()
	opened, err := c.open(ctx)
	if err != nil {
		return none, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		c.drop(opened)
		return none, errSenderClosed
	}
	if c.has {
		c.drop(c.now)
	}
	c.now, c.has = opened, true
	return opened, nil
}

// close ends the connection, also one that is still being opened.
func (c *connection[C]) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.has {
		c.drop(c.now)
	}
	c.has = false
}

// route is the template of a routing key or subject, with the check of its result.
type route struct {
	*rendering
	place string
	check func(string) error
}

func newRoute(p *problems, place, text string, check func(string) error) *route {
	t := newTemplate(p, place, text)
	if t == nil {
		return nil
	}
	return &route{t, place, check}
}

// of renders and checks the route of one event.
func (r *route) of(fields map[string]any) (string, error) {
	text, err := r.render(fields)
	if err != nil {
		return "", err
	}
	to := string(text)
	return to, r.check(to)
}

// maxRoute is the longest AMQP routing key, in bytes. It also limits NATS subjects.
const maxRoute = 255

// masking returns a replacer that masks secrets in errors.
func masking(secrets ...string) *strings.Replacer {
	var pairs []string
	for _, secret := range secrets {
		if len(secret) >= minSecret {
			pairs = append(pairs, secret, "***")
		}
	}
	return strings.NewReplacer(pairs...)
}

// interrupted returns the error of an attempt that got no answer because its time was
// up or its context ended; otherwise nil.
func interrupted(ctx context.Context, err error, name string, timeout time.Duration) error {
	var network net.Error
	switch ended := ctx.Err(); {
	case errors.Is(ended, context.Canceled):
		return fmt.Errorf("%s: the attempt was interrupted: %w", name, ended)
	case ended != nil, errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("%s gave no answer within %v", name, timeout)
	}
	return nil
}

// newBrokerDialer makes a dialer that only its context limits.
func newBrokerDialer() *net.Dialer {
	d := newDialer()
	d.Timeout = 0
	return d
}

// sampleRoutes returns the routing keys or subjects of the samples that the destination
// takes, without samples for which the template fails.
func (d *Destination) sampleRoutes() ([]string, error) {
	var routes []string
	samples := d.samples()
	for i := range samples {
		fields, err := fieldsOf(&samples[i])
		if err != nil {
			return nil, err
		}
		if to, err := d.route.of(fields); err == nil {
			routes = append(routes, to)
		}
	}
	slices.Sort(routes)
	return slices.Compact(routes), nil
}
