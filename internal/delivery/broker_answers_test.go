package delivery

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	amqp "github.com/rabbitmq/amqp091-go"
)

// TestPostgresAnswers checks the sentence for each kind of error, and whether it counts
// against the event or is an outage.
func TestPostgresAnswers(t *testing.T) {
	t.Parallel()
	s, ok := brokerSender(t, Settings{Type: TypePostgres, Postgres: &PostgresSettings{DSN: "postgres://kazoo:battery@127.0.0.1:1/calls", Table: "billing.events"}}).(*postgresSender)
	if !ok {
		t.Fatal("it is no sender of PostgreSQL's")
	}
	for code, want := range map[string]outcome{
		"28P01": {err: []string{`refused the login of the user "kazoo"`}},
		"3D000": {err: []string{`has no database "calls"`}},
		"42501": {err: []string{`the user "kazoo" lacks a right`, `"billing"."events"`}, answered: true},
		"42P01": {err: []string{"is not there any more"}, answered: true},
		"42P10": {err: []string{"has the wrong shape", "CREATE TABLE IF NOT EXISTS"}, answered: true},
		"42703": {err: []string{"has the wrong shape"}, answered: true},
		"42804": {err: []string{"has the wrong shape"}, answered: true},
		"25006": {err: []string{"takes no writes"}},
		"53100": {err: []string{"is out of a resource"}},
		"53300": {err: []string{"is out of a resource"}},
		"57P01": {err: []string{"is stopping, starting"}},
		"57P03": {err: []string{"is stopping, starting"}},
		"40P01": {err: []string{"refused the row"}},
		"22003": {err: []string{"refused the row"}, answered: true},
		"23502": {err: []string{"refused the row"}, answered: true},
		"P0001": {err: []string{"refused the row"}, answered: true},
		"XX000": {err: []string{"refused the row"}},
		"":      {err: []string{"refused the row"}},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			err := fmt.Errorf("insert: %w", &pgconn.PgError{Code: code, Message: "it says\nbattery"})
			want.status = "SQLSTATE " + code
			want.err = append(want.err, "it says ***", "PostgreSQL at 127.0.0.1:1")
			want.check(t, s.failed(t.Context(), err))
		})
	}
	outcome{err: []string{"the table x has no y"}, answered: true}.check(t, s.failed(t.Context(), shape("the table %s has no y", "x")))
	outcome{err: []string{"the connection was lost: broken pipe"}}.check(t, s.failed(t.Context(), errors.New("broken pipe")))
	outcome{err: []string{errMetadata.Error()}}.check(t, s.failed(t.Context(), errMetadata))
	if want := `CREATE TABLE IF NOT EXISTS "billing"."events" (event_id text PRIMARY KEY, seq bigint NOT NULL, event text NOT NULL, account_id text, object_id text, at timestamptz NOT NULL, body jsonb NOT NULL)`; s.creation() != want {
		t.Errorf("the table is made with %s", s.creation())
	}
}

// TestAMQPAnswers checks the sentence for each reason why RabbitMQ closes a channel or
// a connection.
func TestAMQPAnswers(t *testing.T) {
	t.Parallel()
	s, ok := brokerSender(t, amqpSettingsOf("amqp://kazoo:battery@127.0.0.1:1", "events")).(*amqpSender)
	if !ok {
		t.Fatal("it is no sender of RabbitMQ's")
	}
	said := func(code int, soft bool) error {
		return &amqp.Error{Code: code, Reason: "it says\nbattery", Server: true, Recover: soft}
	}
	for name, test := range map[string]struct {
		got  Result
		want outcome
	}{
		"no exchange":           {s.closed(t.Context(), &amqpConn{}, said(amqp.NotFound, true)), outcome{err: []string{`there is no exchange "events"`, "it says ***"}, answered: true}},
		"no right":              {s.closed(t.Context(), &amqpConn{}, said(amqp.AccessRefused, true)), outcome{err: []string{`may not write to the exchange "events"`}, answered: true}},
		"too large":             {s.closed(t.Context(), &amqpConn{}, said(amqp.PreconditionFailed, true)), outcome{err: []string{"refused the event: it says ***"}, answered: true}},
		"shut down":             {s.closed(t.Context(), &amqpConn{}, said(amqp.ConnectionForced, false)), outcome{err: []string{"closed the connection: it says ***"}}},
		"nothing known":         {s.closed(t.Context(), &amqpConn{}, nil), outcome{err: []string{"the connection was lost"}}},
		"blocked":               {s.closed(t.Context(), &amqpConn{reason: "low on memory"}, nil), outcome{err: []string{"blocks those who publish (low on memory)"}}},
		"login refused":         {Result{Err: s.openFailed(t.Context(), said(amqp.AccessRefused, false))}, outcome{err: []string{"refused the login"}}},
		"login without a reply": {Result{Err: s.openFailed(t.Context(), amqp.ErrCredentials)}, outcome{err: []string{"closed the connection at the login"}}},
		"virtual host":          {Result{Err: s.openFailed(t.Context(), said(amqp.NotAllowed, false))}, outcome{err: []string{"refused the virtual host"}}},
		"something else":        {Result{Err: s.openFailed(t.Context(), said(amqp.InternalError, false))}, outcome{err: []string{"can't be used: it says ***"}}},
		"metadata":              {Result{Err: s.openFailed(t.Context(), errMetadata)}, outcome{err: []string{errMetadata.Error()}}},
		"unroutable":            {Result{Err: s.unroutable(brokerMessage("id"), "312 NO_ROUTE")}, outcome{err: []string{`bound to the exchange "events" for the routing key "user.deleted"`}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.want.check(t, test.got)
		})
	}
	p := publishing(brokerMessage("id"))
	if err := p.Headers.Validate(); err != nil || p.MessageId != "id" || p.DeliveryMode != amqp.Persistent || strings.Contains(fmt.Sprint(p.Headers), "traceparent") {
		t.Errorf("the message is %+v (%v)", p, err)
	}
}

func amqpSettingsOf(url, exchange string) Settings {
	return Settings{Type: TypeAMQP, AMQP: &AMQPSettings{URL: url, Exchange: exchange}}
}
