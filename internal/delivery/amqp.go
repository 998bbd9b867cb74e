package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// check reports what is wrong with the settings. The routing key is tried on samples
// elsewhere.
func (s *AMQPSettings) check(p *problems) {
	if _, err := s.uri(); err != nil {
		p.add("url", "%w", err)
	}
	if len(s.Exchange) > maxRoute {
		p.add("exchange", "%s is longer than %d bytes", quoted(s.Exchange), maxRoute)
	}
}

// uri parses the URL. An error doesn't quote it: it may hold a password.
func (s *AMQPSettings) uri() (amqp.URI, error) {
	uri, err := amqp.ParseURI(s.URL)
	switch {
	case !strings.HasPrefix(s.URL, "amqp://") && !strings.HasPrefix(s.URL, "amqps://"):
		return uri, errors.New("it is no URL that begins with amqp:// or amqps://")
	case err != nil:
		return uri, errors.New("it can't be read; it is amqp://user:password@host:port/vhost, where a special character of the user, password or vhost stands as % and two hexadecimal digits")
	case uri.Port < 1 || uri.Port > 65535:
		return uri, fmt.Errorf("the port %d is not between 1 and 65535", uri.Port)
	case isMetadataHost(uri.Host):
		return uri, fmt.Errorf("%s is %w", uri.Host, errMetadata)
	}
	return uri, nil
}

// checkRoutingKey reports whether RabbitMQ takes a routing key.
func checkRoutingKey(key string) error {
	if len(key) > maxRoute {
		return fmt.Errorf("it makes a routing key of %d bytes: the most is %d", len(key), maxRoute)
	}
	return nil
}

// amqpSender publishes events to an exchange of RabbitMQ.
type amqpSender struct {
	d       *Destination
	version string
	name    string // used in errors
	mask    *strings.Replacer
	dialer  *net.Dialer
	conn    connection[*amqpConn]
}

func newAMQPSender(d *Destination, o SenderOptions) (*amqpSender, error) {
	uri, err := d.AMQP.uri()
	if err != nil {
		return nil, err
	}
	s := &amqpSender{
		d: d, version: o.Version, dialer: newBrokerDialer(),
		name: "RabbitMQ at " + net.JoinHostPort(uri.Host, strconv.Itoa(uri.Port)),
		mask: masking(d.AMQP.URL, uri.Password),
	}
	s.conn = connection[*amqpConn]{name: s.name, open: s.open, alive: (*amqpConn).alive, drop: (*amqpConn).leave, timeout: d.Timeout}
	return s, nil
}

// open connects and logs in.
func (s *amqpSender) open(ctx context.Context) (*amqpConn, error) {
	c := &amqpConn{}
	stop := context.AfterFunc(ctx, c.drop)
	defer stop()
	properties := amqp.Table{"product": "kazoohook", "version": s.version, "connection_name": "kazoohook destination " + s.d.Name}
	conn, err := amqp.DialConfig(s.d.AMQP.URL, amqp.Config{
		Properties: properties,
		ChannelMax: maxConcurrency + 1,
		Dial: func(network, address string) (net.Conn, error) {
			raw, err := s.dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			if !c.use(raw) {
				return nil, ctx.Err()
			}
			return raw, nil
		},
	})
	if err != nil {
		c.drop()
		return nil, s.openFailed(ctx, err)
	}
	c.conn = conn
	c.watch()
	return c, nil
}

// openFailed says in one sentence why there is no connection.
func (s *amqpSender) openFailed(ctx context.Context, err error) error {
	if interrupted := interrupted(ctx, err, s.name, s.d.Timeout); interrupted != nil {
		return interrupted
	}
	var answer *amqp.Error
	switch {
	case errors.Is(err, errMetadata):
		return fmt.Errorf("%s: the connection was %w", s.name, errMetadata)
	case errors.As(err, &answer) && !answer.Server:
		return fmt.Errorf("%s closed the connection at the login: check the user and the password of the URL (or it is starting or stopping)", s.name)
	case errors.As(err, &answer) && answer.Code == amqp.AccessRefused:
		return fmt.Errorf("%s refused the login: check the user and the password of the URL (%s)", s.name, s.said(answer))
	case errors.As(err, &answer) && answer.Code == amqp.NotAllowed:
		return fmt.Errorf("%s refused the virtual host: check the path of the URL (%s)", s.name, s.said(answer))
	case errors.As(err, &answer):
		return fmt.Errorf("%s can't be used: %s", s.name, s.said(answer))
	}
	return fmt.Errorf("%s can't be reached: %s", s.name, s.mask.Replace(withoutAddress(err)))
}

// said returns RabbitMQ's reason, or the library's.
func (s *amqpSender) said(e *amqp.Error) string { return excerpt([]byte(e.Reason), s.mask) }

// Send publishes the event once, and waits for RabbitMQ to confirm that it is in a
// queue, on disk if the queue is durable.
func (s *amqpSender) Send(ctx context.Context, m *Message) Result {
	ctx, cancel := context.WithTimeout(ctx, s.d.Timeout)
	defer cancel()
	conn, err := s.conn.get(ctx)
	if err != nil {
		return Result{Err: err}
	}
	if reason := conn.blocked(); reason != "" {
		return Result{Err: s.isBlocked(reason)}
	}
	ch, err := conn.channel(ctx)
	if err != nil {
		return Result{Err: s.lost(ctx, conn, err)}
	}
	return s.publish(ctx, conn, ch, m)
}

func (s *amqpSender) isBlocked(reason string) error {
	return fmt.Errorf("%s takes no messages now: it blocks those who publish (%s)", s.name, excerpt([]byte(reason), s.mask))
}

// publish makes the attempt on a channel that no other attempt uses meanwhile.
func (s *amqpSender) publish(ctx context.Context, conn *amqpConn, ch *amqpChannel, m *Message) Result {
	stop := context.AfterFunc(ctx, conn.drop) // a write may block if RabbitMQ doesn't read
	confirmation, err := ch.PublishWithDeferredConfirmWithContext(ctx, s.d.AMQP.Exchange, m.Route, true, false, publishing(m))
	stop()
	if err != nil {
		conn.giveUp(ch)
		return Result{Err: s.lost(ctx, conn, ch.cause(err))}
	}
	select {
	case <-confirmation.Done():
	case <-ctx.Done():
		err := s.lost(ctx, conn, ctx.Err()) // before the connection is given up
		conn.giveUp(ch)
		return Result{Err: err}
	}
	if !confirmation.Acked() {
		if err := ch.cause(nil); err != nil || ch.IsClosed() {
			conn.giveUp(ch)
			return s.closed(ctx, conn, err)
		}
		conn.release(ch)
		return Result{Status: "nack", // the queue's fault, not the event's
			Err: fmt.Errorf("%s did not take the event (nack): a queue is full and rejects what is published, or had an error of its own", s.name)}
	}
	select {
	case back := <-ch.returns:
		conn.release(ch)
		status := strconv.Itoa(int(back.ReplyCode)) + " " + excerpt([]byte(back.ReplyText), s.mask)
		return Result{Answered: true, Status: status, Err: s.unroutable(m, status)}
	default:
	}
	conn.release(ch)
	return Result{Status: "confirmed"}
}

// unroutable: no queue took the event.
func (s *amqpSender) unroutable(m *Message, status string) error {
	if s.d.AMQP.Exchange == "" {
		return fmt.Errorf("%s returned the event (%s): there is no queue %s", s.name, status, quoted(m.Route))
	}
	return fmt.Errorf("%s returned the event (%s): no queue is bound to the exchange %s for the routing key %s", s.name, status, quoted(s.d.AMQP.Exchange), quoted(m.Route))
}

// closed returns the result of an attempt whose channel RabbitMQ closed, or whose
// connection ended.
func (s *amqpSender) closed(ctx context.Context, conn *amqpConn, err error) Result {
	var answer *amqp.Error
	if errors.As(err, &answer) && answer.Server && answer.Recover { // it closed this channel, not the connection
		r := Result{Answered: true, Status: excerpt([]byte(answer.Reason), s.mask)}
		switch answer.Code {
		case amqp.NotFound:
			r.Err = fmt.Errorf("%s refused the event: there is no exchange %s (%s)", s.name, quoted(s.d.AMQP.Exchange), r.Status)
		case amqp.AccessRefused:
			r.Err = fmt.Errorf("%s refused the event: the user may not write to the exchange %s (%s)", s.name, quoted(s.d.AMQP.Exchange), r.Status)
		default:
			r.Err = fmt.Errorf("%s refused the event: %s", s.name, r.Status)
		}
		return r
	}
	return Result{Err: s.lost(ctx, conn, err)}
}

// lost says why an attempt got no answer.
func (s *amqpSender) lost(ctx context.Context, conn *amqpConn, err error) error {
	if reason := conn.blocked(); reason != "" {
		return s.isBlocked(reason)
	}
	if interrupted := interrupted(ctx, err, s.name, s.d.Timeout); interrupted != nil {
		return interrupted
	}
	conn.drop() // the library may not have noticed yet
	var answer *amqp.Error
	switch {
	case errors.As(err, &answer):
		return fmt.Errorf("%s closed the connection: %s", s.name, s.said(answer))
	case err != nil:
		return fmt.Errorf("%s: the connection was lost: %s", s.name, s.mask.Replace(withoutAddress(err)))
	}
	return fmt.Errorf("%s: the connection was lost", s.name)
}

// publishing returns the event as an AMQP message.
func publishing(m *Message) amqp.Publishing {
	headers := amqp.Table{"seq": m.Seq, "event": m.Event, "account": m.Account, "redelivered": m.Redelivered}
	if m.Traceparent != "" {
		headers["traceparent"] = m.Traceparent
	}
	at := m.Received
	if at.IsZero() {
		at = time.Now()
	}
	return amqp.Publishing{
		Headers: headers, ContentType: m.ContentType, DeliveryMode: amqp.Persistent, MessageId: m.EventID,
		Timestamp: at, Type: m.Event, AppId: "kazoohook", Body: m.Body,
	}
}

// Check connects, logs in and looks for the exchange.
func (s *amqpSender) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.d.Timeout)
	defer cancel()
	conn, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer conn.leave()
	if s.d.AMQP.Exchange == "" {
		return nil // the default exchange always exists
	}
	ch, err := conn.channel(ctx)
	if err != nil {
		return s.lost(ctx, conn, err)
	}
	stop := context.AfterFunc(ctx, conn.drop)
	defer stop()
	if err := ch.ExchangeDeclarePassive(s.d.AMQP.Exchange, amqp.ExchangeTopic, true, false, false, false, nil); err != nil {
		return s.closed(ctx, conn, err).Err
	}
	return nil
}

// Close ends the connection.
func (s *amqpSender) Close() error {
	s.conn.close()
	return nil
}
