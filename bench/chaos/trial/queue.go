package trial

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"kazoohook/internal/delivery/brokertest"
)

// queue is a queue of RabbitMQ with a consumer.
type queue struct {
	*brokertest.RabbitMQ

	mu   sync.Mutex
	list []arrival
	ids  map[string]bool
	err  error // messages that can't be read
}

const (
	queueName    = "billing"
	exchangeName = "kazoo"
)

func startQueue(h *host, _ Options) (broker, server, error) {
	q := &queue{RabbitMQ: brokertest.StartRabbitMQ(h, ""), ids: map[string]bool{}}
	err := q.with(func(ch *amqp.Channel) error {
		return errors.Join(
			ch.ExchangeDeclare(exchangeName, amqp.ExchangeTopic, true, false, false, false, nil),
			func() error { _, err := ch.QueueDeclare(queueName, true, false, false, false, nil); return err }(),
			ch.QueueBind(queueName, "#", exchangeName, false, nil))
	})
	ctx, stop := context.WithCancel(h.ctx)
	var consumer sync.WaitGroup
	consumer.Go(func() {
		for Sleep(ctx, 50*time.Millisecond) {
			_ = q.with(func(ch *amqp.Channel) error { return q.consume(ctx, ch) }) // the server may be down
		}
	})
	h.Cleanup(func() { stop(); consumer.Wait() })
	return q, q, err
}

// with calls f with a channel on a connection of its own.
func (q *queue) with(f func(*amqp.Channel) error) error {
	conn, err := amqp.DialConfig(q.URL(), amqp.Config{Heartbeat: 2 * time.Second, Dial: amqp.DefaultDial(5 * time.Second)})
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseDeadline(time.Now().Add(time.Second)) }() // the server may be down
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	return f(ch)
}

// consume takes messages from the queue until the connection ends.
func (q *queue) consume(ctx context.Context, ch *amqp.Channel) error {
	messages, err := ch.ConsumeWithContext(ctx, queueName, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	for m := range messages {
		q.take(&m)
		if err := m.Ack(false); err != nil {
			return err
		}
	}
	return nil
}

// take records a message, unless RabbitMQ sends it again because it got no
// acknowledgement: such a message was published once.
func (q *queue) take(m *amqp.Delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e, err := ParseEvent(m.Body)
	switch {
	case err != nil:
		q.err = errors.Join(q.err, fmt.Errorf("what came through RabbitMQ: %w", err))
	case m.Redelivered && q.ids[e.ID]:
	default:
		q.ids[e.ID] = true
		q.list = append(q.list, arrival{event: e, at: time.Now(), ok: true})
	}
}

func (q *queue) settings() []string {
	return []string{"type: amqp", "url: " + q.URL(), "exchange: " + exchangeName}
}

// refuse removes the only queue that events go to, so that they are returned.
func (q *queue) refuse(_ context.Context, on bool) error {
	return q.with(func(ch *amqp.Channel) error {
		if on {
			return ch.QueueUnbind(queueName, "#", exchangeName, nil)
		}
		return ch.QueueBind(queueName, "#", exchangeName, false, nil)
	})
}

func (q *queue) seen(ctx context.Context) (list []arrival, wrong []string, err error) {
	for left := 1; left > 0; {
		if !Sleep(ctx, time.Second) { // for messages that the consumer is handling
			return nil, nil, ctx.Err()
		}
		err := q.with(func(ch *amqp.Channel) error {
			state, err := ch.QueueDeclarePassive(queueName, true, false, false, false, nil)
			left = state.Messages
			return err
		})
		if err != nil {
			return nil, nil, fmt.Errorf("ask RabbitMQ for its queue: %w", err)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.list, nil, q.err
}
