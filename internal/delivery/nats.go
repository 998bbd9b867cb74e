package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsSender publishes events to a stream of NATS JetStream.
type natsSender struct {
	d    *Destination
	name string // used in errors
	mask *strings.Replacer
	conn connection[*natsConn]
}

// natsConn is a connection to NATS. It doesn't reconnect by itself: an attempt must
// fail, not wait in a buffer.
type natsConn struct {
	nc    *nats.Conn
	js    jetstream.JetStream
	ended context.Context //nolint:containedctx // ends with the connection
	end   context.CancelCauseFunc

	mu      sync.Mutex
	waiting map[string][]context.CancelCauseFunc // mu: running attempts by subject
}

func newNATSSender(d *Destination) (*natsSender, error) {
	servers, err := d.NATS.servers()
	if err != nil {
		return nil, err
	}
	secrets := []string{d.NATS.URL}
	var hosts []string
	for _, u := range servers {
		hosts = append(hosts, u.Host)
		if password, ok := u.User.Password(); ok {
			secrets = append(secrets, password)
		} else {
			secrets = append(secrets, u.User.Username()) // a token
		}
	}
	s := &natsSender{d: d, name: "NATS at " + strings.Join(hosts, ", "), mask: masking(secrets...)}
	s.conn = connection[*natsConn]{name: s.name, open: s.open, alive: (*natsConn).alive, drop: (*natsConn).drop, timeout: d.Timeout}
	return s, nil
}

// natsDialer dials within a context, and keeps the error: the library only says that
// there is no server.
type natsDialer struct {
	context.Context //nolint:containedctx // of the opening; the library's interface has none
	net.Dialer
	failed error
}

// Dial implements the library's interface.
func (d *natsDialer) Dial(network, address string) (net.Conn, error) {
	conn, err := d.DialContext(d.Context, network, address)
	d.failed = err
	return conn, err
}

// open connects and logs in.
func (s *natsSender) open(ctx context.Context) (*natsConn, error) {
	c := &natsConn{waiting: map[string][]context.CancelCauseFunc{}}
	c.ended, c.end = context.WithCancelCause(context.Background())
	dialer := &natsDialer{Context: ctx, Dialer: *newBrokerDialer()}
	options := []nats.Option{
		nats.Name("kazoohook destination " + s.d.Name), nats.NoReconnect(), nats.SetCustomDialer(dialer),
		nats.Timeout(s.d.Timeout), nats.FlusherTimeout(s.d.Timeout),
		nats.PingInterval(20 * time.Second), nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.end(err) }),
		nats.ClosedHandler(func(nc *nats.Conn) { c.end(nc.LastError()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.refused(err) }),
	}
	if s.d.NATS.Credentials != "" {
		options = append(options, nats.UserCredentials(s.d.NATS.Credentials))
	}
	nc, err := nats.Connect(s.d.NATS.URL, options...)
	if err != nil {
		c.end(err)
		if errors.Is(err, nats.ErrNoServers) && dialer.failed != nil {
			err = dialer.failed
		}
		return nil, s.openFailed(ctx, err)
	}
	c.nc = nc
	if c.js, err = jetstream.New(nc); err != nil {
		c.drop()
		return nil, s.openFailed(ctx, err)
	}
	return c, nil
}

// openFailed says in one sentence why there is no connection.
func (s *natsSender) openFailed(ctx context.Context, err error) error {
	for _, refusal := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, refusal) {
			return fmt.Errorf("%s refused the login: check the user and the password of the URL, or credentials_file (%w)", s.name, refusal)
		}
	}
	if interrupted := interrupted(ctx, err, s.name, s.d.Timeout); interrupted != nil {
		return interrupted
	}
	if errors.Is(err, errMetadata) {
		return fmt.Errorf("%s: the connection was %w", s.name, errMetadata)
	}
	return fmt.Errorf("%s can't be reached: %s", s.name, s.mask.Replace(withoutAddress(err)))
}

func (c *natsConn) alive() bool { return c.ended.Err() == nil && c.nc.IsConnected() }

func (c *natsConn) drop() { go c.nc.Close() } // Close may wait for a write

// refused ends the attempts whose subject the server refuses. The server's only answer
// is an error of the connection that names the subject.
func (c *natsConn) refused(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for subject, ends := range c.waiting {
		if strings.Contains(err.Error(), `"`+subject+`"`) {
			for _, end := range ends {
				end(err)
			}
		}
	}
}

// attempt returns a context that ends with ctx, with the connection, and when the
// server refuses the subject.
func (c *natsConn) attempt(ctx context.Context, subject string) (context.Context, func()) {
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ended, func() { end(context.Cause(c.ended)) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting[subject] = append(c.waiting[subject], end)
	return ctx, func() {
		stop()
		end(nil)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.waiting[subject] = c.waiting[subject][1:]; len(c.waiting[subject]) == 0 {
			delete(c.waiting, subject)
		}
	}
}

// Send publishes the event once, and waits until a stream has stored it.
func (s *natsSender) Send(ctx context.Context, m *Message) Result {
	ctx, cancel := context.WithTimeout(ctx, s.d.Timeout)
	defer cancel()
	conn, err := s.conn.get(ctx)
	if err != nil {
		return Result{Err: err}
	}
	attempt, done := conn.attempt(ctx, m.Route)
	ack, err := conn.js.PublishMsg(attempt, natsMessage(m))
	cause := context.Cause(attempt)
	done()
	switch {
	case err == nil && ack.Duplicate:
		return Result{Status: "duplicate in stream " + excerpt([]byte(ack.Stream), s.mask)}
	case err == nil:
		return Result{Status: "in stream " + excerpt([]byte(ack.Stream), s.mask)}
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		return s.noStream(ctx, conn, m.Route)
	}
	return s.failed(ctx, err, cause, m)
}

// noStream says why no stream answered to a subject.
func (s *natsSender) noStream(ctx context.Context, conn *natsConn, subject string) Result {
	_, err := conn.js.AccountInfo(ctx)
	if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) || errors.Is(err, nats.ErrNoResponders) {
		return Result{Err: fmt.Errorf("%s has no JetStream for this account: it keeps no events", s.name)}
	}
	return Result{Answered: true, Status: "no stream", Err: fmt.Errorf("%s has no stream that takes the subject %s", s.name, quoted(subject))}
}

// failed returns the result of an attempt that no stream acknowledged.
func (s *natsSender) failed(ctx context.Context, err, cause error, m *Message) Result {
	var answer *jetstream.APIError
	switch {
	case errors.As(err, &answer):
		status := excerpt([]byte(answer.Description), s.mask)
		return Result{Answered: answer.Code < 500 || answer.Code > 504, Status: status, Err: fmt.Errorf("%s did not take the event: %s", s.name, status)}
	case errors.Is(err, nats.ErrMaxPayload):
		return Result{Answered: true, Status: "too large", Err: fmt.Errorf("%s takes no message of %d bytes: its max_payload is smaller", s.name, len(m.Body))}
	case errors.Is(err, jetstream.ErrInvalidJSAck):
		return Result{Answered: true, Err: fmt.Errorf("%s: something that is no stream answered to the subject %s", s.name, quoted(m.Route))}
	case errors.Is(cause, nats.ErrPermissionViolation):
		return Result{Answered: true, Status: "permissions violation", Err: fmt.Errorf("%s does not let this user publish to the subject %s", s.name, quoted(m.Route))}
	}
	if interrupted := interrupted(ctx, err, s.name, s.d.Timeout); interrupted != nil {
		return Result{Err: interrupted}
	}
	if cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	if errors.Is(err, context.Canceled) {
		return Result{Err: fmt.Errorf("%s: the connection was lost", s.name)}
	}
	return Result{Err: fmt.Errorf("%s: the connection was lost: %s", s.name, s.mask.Replace(withoutAddress(err)))}
}

// natsMessage returns the event as a NATS message.
func natsMessage(m *Message) *nats.Msg {
	h := nats.Header{}
	h.Set(jetstream.MsgIDHeader, m.EventID)
	h.Set("Content-Type", m.ContentType)
	h.Set("seq", strconv.FormatInt(m.Seq, 10))
	h.Set("event", m.Event)
	h.Set("account", printed([]byte(m.Account)))
	h.Set("redelivered", strconv.FormatBool(m.Redelivered))
	if m.Traceparent != "" {
		h.Set("traceparent", m.Traceparent)
	}
	return &nats.Msg{Subject: m.Route, Header: h, Data: m.Body}
}

// Check connects, logs in, and looks for a stream for the subject of each kind of event
// that the destination takes.
func (s *natsSender) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.d.Timeout)
	defer cancel()
	conn, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer conn.drop()
	subjects, err := s.d.sampleRoutes()
	if err != nil {
		return err
	}
	for _, subject := range subjects {
		attempt, done := conn.attempt(ctx, "$JS.API.STREAM.NAMES")
		_, err := conn.js.StreamNameBySubject(attempt, subject)
		cause := context.Cause(attempt)
		done()
		switch {
		case err == nil:
		case errors.Is(cause, nats.ErrPermissionViolation):
			return nil // the user may publish, but not ask for streams
		case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, nats.ErrNoResponders),
			errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
			return s.noStream(ctx, conn, subject).Err
		default:
			return s.failed(ctx, err, cause, &Message{Route: subject}).Err
		}
	}
	return nil
}

// Close ends the connection.
func (s *natsSender) Close() error {
	s.conn.close()
	return nil
}
