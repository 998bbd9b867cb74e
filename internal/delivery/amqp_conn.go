package delivery

import (
	"context"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// closeWait is how long RabbitMQ may take to confirm that a channel is closed.
const closeWait = 5 * time.Second

// amqpConn is a connection to RabbitMQ and its channels. Each attempt has its own
// channel. So what comes back on it belongs to that attempt, and an error that closes
// it doesn't affect other attempts.
type amqpConn struct {
	conn *amqp.Connection

	mu      sync.Mutex
	raw     net.Conn       // mu: the network connection, below TLS
	dropped bool           // mu
	reason  string         // mu: why RabbitMQ blocks us; "" if it doesn't
	free    []*amqpChannel // mu: channels without an attempt
}

// amqpChannel is a channel in confirm mode.
type amqpChannel struct {
	*amqp.Channel
	returns chan amqp.Return // unroutable messages; they come before the confirmation
	closes  chan *amqp.Error
}

// use stores the network connection. It returns false after drop.
func (c *amqpConn) use(raw net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dropped {
		_ = raw.Close() // nothing was written
		return false
	}
	c.raw = raw
	return true
}

// drop closes the connection at once, without telling RabbitMQ: if RabbitMQ doesn't
// read, the library would wait for ever to tell it.
func (c *amqpConn) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped = true
	if c.raw != nil {
		_ = c.raw.Close() // what was written and not confirmed is sent again
	}
}

// leave closes the connection, and tells RabbitMQ if it reads. It returns at once.
func (c *amqpConn) leave() {
	go func() {
		_ = c.conn.CloseDeadline(time.Now().Add(time.Second)) // dropped in any case
		c.drop()
	}()
}

func (c *amqpConn) alive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.dropped && !c.conn.IsClosed()
}

// watch notes when RabbitMQ begins and stops blocking publishers. It ends with the
// connection.
func (c *amqpConn) watch() {
	blockings := c.conn.NotifyBlocked(make(chan amqp.Blocking, 1))
	go func() {
		for b := range blockings {
			c.mu.Lock()
			c.reason = ""
			if b.Active {
				c.reason = "low on resources"
				if b.Reason != "" {
					c.reason = b.Reason
				}
			}
			c.mu.Unlock()
		}
	}()
}

// blocked returns why RabbitMQ takes no messages; "" if it does.
func (c *amqpConn) blocked() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

// channel returns a free channel, or a new one.
func (c *amqpConn) channel(ctx context.Context) (*amqpChannel, error) {
	if ch := c.takeFree(); ch != nil {
		return ch, nil
	}
	stop := context.AfterFunc(ctx, c.drop)
	defer stop()
	opened, err := c.conn.Channel()
	if err != nil {
		return nil, err
	}
	ch := &amqpChannel{
		Channel: opened,
		returns: opened.NotifyReturn(make(chan amqp.Return, 1)),
		closes:  opened.NotifyClose(make(chan *amqp.Error, 1)),
	}
	if err := ch.Confirm(false); err != nil {
		return nil, ch.cause(err)
	}
	return ch, nil
}

func (c *amqpConn) takeFree() *amqpChannel {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.free) > 0 {
		ch := c.free[len(c.free)-1]
		c.free = c.free[:len(c.free)-1]
		if !ch.IsClosed() {
			return ch
		}
	}
	return nil
}

// release returns a channel whose attempt ended with an answer.
func (c *amqpConn) release(ch *amqpChannel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free = append(c.free, ch)
}

// giveUp closes a channel on which an answer may still come. If RabbitMQ doesn't
// confirm that within closeWait, the connection is dropped. While RabbitMQ blocks us it
// isn't: RabbitMQ wouldn't read from a new one either.
func (c *amqpConn) giveUp(ch *amqpChannel) {
	if ch.IsClosed() {
		return
	}
	timer := time.AfterFunc(closeWait, func() {
		if c.blocked() == "" {
			c.drop()
		}
	})
	go func() {
		defer timer.Stop()
		_ = ch.Close() // it also ends with the connection
	}()
}

// cause returns why the channel was closed, or err if that isn't known.
func (ch *amqpChannel) cause(err error) error {
	select {
	case e, ok := <-ch.closes:
		if ok && e != nil {
			return e
		}
	default:
	}
	return err
}
