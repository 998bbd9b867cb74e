//go:build real

package delivery

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"kazoohook/internal/delivery/brokertest"
)

// queue declares a durable queue that is bound to the exchange kazoo.
func queue(t *testing.T, ch *amqp.Channel, name, key string, args amqp.Table) {
	t.Helper()
	const exchange = "kazoo"
	if _, err := ch.QueueDeclare(name, true, false, false, false, args); err != nil {
		t.Fatal(err)
	}
	if err := ch.ExchangeDeclare(exchange, amqp.ExchangeTopic, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind(name, key, exchange, false, nil); err != nil {
		t.Fatal(err)
	}
}

// take takes a message from a queue, waiting up to a minute for it.
func take(t *testing.T, ch *amqp.Channel, queue string) amqp.Delivery {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		d, ok, err := ch.Get(queue, true)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return d
		}
	}
	t.Fatalf("nothing came to the queue %s", queue)
	return amqp.Delivery{}
}

func amqpSettings(url, exchange string) Settings {
	return Settings{Type: TypeAMQP, Timeout: time.Minute, AMQP: &AMQPSettings{URL: url, Exchange: exchange}}
}

// TestAMQP sends to a real RabbitMQ that has a queue for each case.
func TestAMQP(t *testing.T) {
	t.Parallel()
	certificates := writeCertificates(t)
	broker := brokertest.StartRabbitMQ(t, certificates)
	ch := broker.Channel()
	queue(t, ch, "good", "user.#", nil)
	queue(t, ch, "full", "full", amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
	broker.Control("add_vhost", "other")
	broker.Control("add_user", "reader", "correct horse/battery")
	broker.Control("set_permissions", "-p", "/", "reader", "", "", ".*")
	tls := func(query string) string {
		return strings.Replace(strings.Replace(broker.URL(), "amqp:", "amqps:", 1), fmt.Sprint(broker.Port), fmt.Sprint(broker.TLSPort), 1) + query
	}
	for name, test := range map[string]struct {
		url, exchange string
		route         string
		want          outcome
		check         []string // of Check
	}{
		"to an exchange": {broker.URL(), "kazoo", "user.deleted", outcome{status: "confirmed"}, nil},
		"to a queue":     {broker.URL(), "", "good", outcome{status: "confirmed"}, nil},
		"with TLS":       {tls("?cacertfile=" + certificates + "/ca.pem"), "kazoo", "user.deleted", outcome{status: "confirmed"}, nil},
		"with TLS, unknown authority": {tls(""), "kazoo", "user.deleted",
			outcome{err: []string{"can't be reached", "certificate"}}, []string{"can't be reached", "certificate"}},
		"with TLS, CA missing": {tls("?cacertfile=/nowhere.pem"), "kazoo", "user.deleted",
			outcome{err: []string{"can't be reached", "/nowhere.pem"}}, []string{"/nowhere.pem"}},
		"unroutable": {broker.URL(), "kazoo", "device.created",
			outcome{err: []string{"returned the event (312 NO_ROUTE)", `no queue is bound to the exchange "kazoo" for the routing key "device.created"`}, answered: true}, nil},
		"no such queue": {broker.URL(), "", "nowhere",
			outcome{err: []string{`there is no queue "nowhere"`}, answered: true}, nil},
		"full queue": {broker.URL(), "kazoo", "full",
			outcome{err: []string{"did not take the event (nack)", "full"}, status: "nack"}, nil},
		"no such exchange": {broker.URL(), "nowhere", "user.deleted",
			outcome{err: []string{`there is no exchange "nowhere"`}, answered: true}, []string{`there is no exchange "nowhere"`}},
		"no right to write": {broker.URLFor("reader", "correct horse/battery"), "kazoo", "user.deleted",
			outcome{err: []string{`may not write to the exchange "kazoo"`}, answered: true}, nil},
		"wrong password": {broker.URLFor(brokertest.RabbitUser, "wrong horse/battery"), "kazoo", "user.deleted",
			outcome{err: []string{"at the login: check the user and the password"}}, []string{"at the login: check"}},
		"no such virtual host": {broker.URL() + "nowhere", "kazoo", "user.deleted",
			outcome{err: []string{"refused the virtual host"}}, []string{"refused the virtual host"}},
		"virtual host without a right": {broker.URLFor("reader", "correct horse/battery") + "other", "kazoo", "user.deleted",
			outcome{err: []string{"refused the virtual host"}}, []string{"refused the virtual host"}},
		"TLS where there is none": {strings.Replace(broker.URL(), "amqp:", "amqps:", 1), "kazoo", "user.deleted",
			outcome{err: []string{"can't be reached"}}, []string{"can't be reached"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := brokerSender(t, amqpSettings(test.url, test.exchange))
			if name == "full queue" {
				m := brokerMessage("first")
				m.Route = test.route
				outcome{status: "confirmed"}.check(t, s.Send(t.Context(), m))
			}
			for attempt := range 3 { // each attempt must leave the sender usable for the next
				m := brokerMessage(fmt.Sprintf("%s-%d", name, attempt))
				m.Route = test.route
				test.want.check(t, s.Send(t.Context(), m))
			}
			checked(t, s, test.check...)
		})
	}
}

// TestAMQPMessage compares what arrives with what was sent.
func TestAMQPMessage(t *testing.T) {
	t.Parallel()
	broker := brokertest.StartRabbitMQ(t, "")
	ch := broker.Channel()
	queue(t, ch, "good", "#", nil)
	s := brokerSender(t, amqpSettings(broker.URL(), "kazoo"))
	m := brokerMessage("id-1")
	m.Redelivered, m.Traceparent = true, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	outcome{}.check(t, s.Send(t.Context(), m))
	d := take(t, ch, "good")
	if d.MessageId != "id-1" || d.ContentType != "application/json" || d.DeliveryMode != amqp.Persistent || d.Type != "user.deleted" ||
		d.AppId != "kazoohook" || !d.Timestamp.Equal(m.Received.Truncate(time.Second)) || !bytes.Equal(d.Body, m.Body) || d.RoutingKey != "user.deleted" {
		t.Errorf("what arrived is %+v", d)
	}
	want := amqp.Table{"seq": int64(42), "event": "user.deleted", "account": m.Account, "redelivered": true, "traceparent": m.Traceparent}
	if fmt.Sprint(d.Headers) != fmt.Sprint(want) {
		t.Errorf("headers are %v, want %v", d.Headers, want)
	}

	// Many at once, each on its own channel; some are returned.
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			m := brokerMessage(fmt.Sprintf("many-%d", i))
			want := outcome{status: "confirmed"}
			if i%5 == 0 {
				m.Body = []byte(strings.Repeat("x", 300_000)) // more than one frame
			}
			want.check(t, s.Send(t.Context(), m))
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for range 200 {
		seen[take(t, ch, "good").MessageId] = true
	}
	if len(seen) != 200 {
		t.Errorf("%d of 200 events arrived", len(seen))
	}
}

// TestAMQPRestart kills the broker between attempts and during one, and makes it block
// publishers.
func TestAMQPRestart(t *testing.T) {
	t.Parallel()
	broker := brokertest.StartRabbitMQ(t, "")
	queue(t, broker.Channel(), "good", "#", nil)
	patient := brokerSender(t, amqpSettings(broker.URL(), "kazoo"))
	settings := amqpSettings(broker.URL(), "kazoo")
	settings.Timeout = 10 * time.Second
	hasty := brokerSender(t, settings)
	for _, s := range []Sender{patient, hasty} {
		until(t, s, "before")
	}

	broker.Control("set_vm_memory_high_watermark", "0.0000001") // the memory alarm
	r := hasty.Send(t.Context(), brokerMessage("blocked"))
	for deadline := time.Now().Add(2 * time.Minute); r.Err == nil && time.Now().Before(deadline); { // connections hear of the alarm later
		r = hasty.Send(t.Context(), brokerMessage("not blocked yet"))
	}
	outcome{err: []string{"it blocks those who publish", "low on memory"}}.check(t, r)
	outcome{err: []string{"it blocks those who publish"}}.check(t, hasty.Send(t.Context(), brokerMessage("blocked again")))
	broker.Control("set_vm_memory_high_watermark", "0.4")
	until(t, hasty, "unblocked")

	broker.Stop()
	outcome{err: []string{"RabbitMQ at 127.0.0.1:"}}.check(t, patient.Send(t.Context(), brokerMessage("down")))
	untilRefused(t, func() Result { return patient.Send(t.Context(), brokerMessage("still down")) })
	checked(t, patient, "can't be reached", "refused")
	broker.Start()
	until(t, patient, "after")
	until(t, hasty, "after")

	// The broker is killed under load: everything confirmed is in the queue.
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var confirmed []string
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				m := brokerMessage(fmt.Sprintf("load-%d-%d", worker, i))
				if r := patient.Send(ctx, m); r.Err == nil {
					mu.Lock()
					confirmed = append(confirmed, m.EventID)
					mu.Unlock()
				}
			}
		})
	}
	enough := func() bool { mu.Lock(); defer mu.Unlock(); return len(confirmed) > 50 }
	for deadline := time.Now().Add(3 * time.Minute); !enough() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	broker.Stop()
	cancel()
	wg.Wait()
	broker.Start()
	ch := broker.Channel()
	seen := map[string]bool{}
	for {
		d, ok, err := ch.Get("good", true)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		seen[d.MessageId] = true
	}
	if len(confirmed) <= 50 {
		t.Errorf("only %d events were confirmed", len(confirmed))
	}
	for _, id := range append(confirmed, "before", "unblocked", "after") {
		if !seen[id] {
			t.Errorf("%s was confirmed and is not in the queue", id)
		}
	}
}
