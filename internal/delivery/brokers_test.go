package delivery

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/event"
)

// brokerMessage returns an event's message with the given id.
func brokerMessage(id string) *Message {
	return &Message{
		EventID: id, Seq: 42, Event: "user.deleted", Account: "c0ffee00aa11bb22cc33dd44ee55ff66", Object: "0b1ec7",
		Route: "user.deleted", Body: []byte(`{"event":"user.deleted","event_id":"` + id + `"}`), ContentType: "application/json",
		Attempt: 1, At: time.Now(), Received: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
	}
}

// brokerSender compiles settings and makes the sender. Its concurrency is 4.
func brokerSender(t *testing.T, s Settings) Sender {
	t.Helper()
	s.Name, s.Concurrency = "billing", 4
	d, problems := Compile(s)
	if len(problems) > 0 {
		t.Fatalf("settings: %v", problems)
	}
	made, err := NewSender(d, SenderOptions{Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := made.Close(); err != nil {
			t.Error(err)
		}
	})
	return made
}

// outcome is the expected result of an attempt.
type outcome struct {
	err      []string // parts of the error; none: success
	answered bool
	status   string
}

func (o outcome) check(t *testing.T, r Result) {
	t.Helper()
	if (r.Err == nil) != (len(o.err) == 0) {
		t.Fatalf("the attempt came to %+v (%v), want %+v", r, r.Err, o)
	}
	for _, part := range o.err {
		if !strings.Contains(r.Err.Error(), part) {
			t.Errorf("the error is %q, without %q", r.Err, part)
		}
	}
	if r.Err != nil && (strings.ContainsAny(r.Err.Error(), "\n\x00") || strings.Contains(r.Err.Error(), "battery")) {
		t.Errorf("the error is no single sentence without a password: %q", r.Err)
	}
	if r.Answered != o.answered && r.Err != nil || o.status != "" && r.Status != o.status {
		t.Errorf("answered %t, status %q (%v), want %+v", r.Answered, r.Status, r.Err, o)
	}
}

// checked fails unless Check's error contains each of the parts; without parts, Check
// must succeed.
func checked(t *testing.T, s Sender, parts ...string) {
	t.Helper()
	outcome{err: parts}.check(t, Result{Err: s.Check(t.Context())})
}

// TestBrokerSettings checks which setting each problem names.
func TestBrokerSettings(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "kazoo.creds")
	if err := os.WriteFile(file, []byte("battery"), 0o600); err != nil {
		t.Fatal(err)
	}
	amqp := func(url, exchange, key string) Settings {
		return Settings{Type: TypeAMQP, AMQP: &AMQPSettings{URL: url, Exchange: exchange, RoutingKey: key}}
	}
	nats := func(url, subject, credentials string) Settings {
		return Settings{Type: TypeNATS, NATS: &NATSSettings{URL: url, Subject: subject, Credentials: credentials}}
	}
	postgres := func(dsn, table string) Settings {
		return Settings{Type: TypePostgres, Postgres: &PostgresSettings{DSN: dsn, Table: table}}
	}
	long := strings.Repeat("x", 300)
	for name, test := range map[string]struct {
		settings Settings
		want     string // the problem; "": none
	}{
		"amqp":                        {amqp("amqps://kazoo:battery@mq.example.com/kazoo?cacertfile=/ca.pem", "events", "kazoo.{{.event}}"), ""},
		"amqp, no URL":                {amqp("", "", ""), "url: it is no URL that begins with amqp:// or amqps://"},
		"amqp, http":                  {amqp("http://kazoo:battery@mq", "", ""), "url: it is no URL that begins with amqp:// or amqps://"},
		"amqp, a slash in a password": {amqp("amqp://kazoo:horse/battery@mq", "", ""), "url: it can't be read; it is amqp://user:password@host:port/vhost"},
		"amqp, a blank":               {amqp("amqp://kazoo:horse battery@mq", "", ""), "url: it can't be read"},
		"amqp, port":                  {amqp("amqp://mq:70000", "", ""), "url: the port 70000 is not between 1 and 65535"},
		"amqp, metadata":              {amqp("amqp://169.254.169.254", "", ""), "url: 169.254.169.254 is refused"},
		"amqp, long exchange":         {amqp("amqp://mq", long, ""), `exchange: "xxx`},
		"amqp, long key":              {amqp("amqp://mq", "", long), "routing_key: it fails for each event, as for a user.created: it makes a routing key of 300 bytes: the most is 255"},
		"amqp, bad template":          {amqp("amqp://mq", "", "{{.event"), "routing_key: "},
		"amqp, no such field":         {amqp("amqp://mq", "", "{{.tenant}}"), "no event has the field tenant"},
		"nats":                        {nats("nats://kazoo:battery@a:4222, tls://b:4222", "", ""), ""},
		"nats, no URL":                {nats("", "", ""), "url: it is no URL that begins with nats:// or tls:// and a host"},
		"nats, http":                  {nats("http://kazoo:battery@mq", "", ""), "url: it is no URL that begins with nats:// or tls://"},
		"nats, metadata":              {nats("nats://a,nats://[::ffff:169.254.169.254]:4222", "", ""), "url: ::ffff:169.254.169.254 is refused"},
		"nats, wildcard":              {nats("nats://a", "kazoo.*", ""), `it makes the subject "kazoo.*": * and > are wildcards`},
		"nats, all below":             {nats("nats://a", "kazoo.>", ""), `it makes the subject "kazoo.>": * and > are wildcards`},
		"nats, empty token":           {nats("nats://a", "kazoo..{{.event}}", ""), "nothing stands before, between or after a dot"},
		"nats, empty at the end":      {nats("nats://a", "{{.event}}.", ""), "nothing stands before, between or after a dot"},
		"nats, a blank":               {nats("nats://a", "kazoo {{.event}}", ""), "a subject holds no blank"},
		"nats, the server's own":      {nats("nats://a", "$JS.API.STREAM.DELETE.x", ""), "those that begin with $ are the server's own"},
		"nats, long":                  {nats("nats://a", long, ""), "it makes a subject of 300 bytes: the most is 255"},
		"nats, no credentials there":  {nats("nats://a", "", "/nowhere.creds"), "credentials_file: it can't be read: open /nowhere.creds: no such file or directory"},
		"nats, no credentials":        {nats("nats://a", "", file), "is not a credentials file of NATS"},
		"postgres":                    {postgres("host=db user=kazoo password=battery sslmode=disable", "billing.kazoo_events"), ""},
		"postgres, no DSN":            {postgres(" ", ""), "dsn: it is missing: postgres://"},
		"postgres, broken":            {postgres("postgres://kazoo:horse/battery@db:x/", ""), "dsn: it can't be read; it is postgres://user:password@host"},
		"postgres, no CA":             {postgres("postgres://kazoo:battery@db/x?sslmode=verify-full&sslrootcert=/nowhere.pem", ""), `dsn: the file "/nowhere.pem" that it names can't be read: no such file or directory`},
		"postgres, metadata":          {postgres("postgres://kazoo:battery@169.254.169.254/x", ""), "dsn: 169.254.169.254 is refused"},
		"postgres, dots":              {postgres("postgres://db", "a.b.c"), `table: "a.b.c" has more than one dot`},
		"postgres, no schema":         {postgres("postgres://db", ".events"), `table: ".events" lacks a name before or after its dot`},
		"postgres, long":              {postgres("postgres://db", long), "is longer than 63 bytes"},
		"postgres, unprintable":       {postgres("postgres://db", "a\x00b"), "holds a character that can't be printed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.settings.Name, test.settings.Events = "billing", []string{"user.*"}
			_, problems := Compile(test.settings)
			var got []string
			for _, p := range problems {
				got = append(got, p.Error())
			}
			if all := strings.Join(got, "\n"); (test.want == "") != (all == "") || !strings.Contains(all, test.want) || len(got) > 1 {
				t.Errorf("problems are %q, want %q", got, test.want)
			}
			if strings.Contains(strings.Join(got, ""), "battery") {
				t.Errorf("a problem tells the password: %q", got)
			}
		})
	}
}

// TestRouteOfAnEvent makes routing keys and subjects of events. An invalid one is a
// template's error: no later attempt can succeed.
func TestRouteOfAnEvent(t *testing.T) {
	t.Parallel()
	named := event.Event{Record: event.Record{Event: "user.deleted", ID: "id", Action: "deleted", ObjectType: "user"}, ObjectName: "Ann Lee"}
	for name, test := range map[string]struct {
		settings Settings
		want     string
		err      string
	}{
		"amqp":           {Settings{Type: TypeAMQP, AMQP: &AMQPSettings{URL: "amqp://mq"}}, "user.deleted", ""},
		"amqp, a name":   {Settings{Type: TypeAMQP, AMQP: &AMQPSettings{URL: "amqp://mq", RoutingKey: "{{.object_name}}"}}, "Ann Lee", ""},
		"amqp, no field": {Settings{Type: TypeAMQP, AMQP: &AMQPSettings{URL: "amqp://mq", RoutingKey: "of.{{.account_id}}"}}, "of.", ""},
		"nats, no field": {Settings{Type: TypeNATS, NATS: &NATSSettings{URL: "nats://mq", Subject: "kazoo.{{.account_id}}"}}, "", `it makes the subject "kazoo."`},
		"nats":           {Settings{Type: TypeNATS, NATS: &NATSSettings{URL: "nats://mq"}}, "kazoo.user.deleted", ""},
		"nats, a name":   {Settings{Type: TypeNATS, NATS: &NATSSettings{URL: "nats://mq", Subject: "kazoo.{{if eq .event_id \"id\"}}{{.object_name}}{{else}}x{{end}}"}}, "", `it makes the subject "kazoo.Ann Lee": a subject holds no blank`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.settings.Name = "billing"
			d, problems := Compile(test.settings)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			m, err := d.Message(&named)
			if test.err != "" {
				if !errors.Is(err, ErrTemplate) || !strings.Contains(err.Error(), test.err) {
					t.Errorf("the error is %v, want %q", err, test.err)
				}
				return
			}
			if err != nil || m.Route != test.want {
				t.Errorf("the route is %q (%v), want %q", m.Route, err, test.want)
			}
		})
	}
}

// TestBrokersThatAreNone sends to addresses without a broker: nobody listens, it is a
// metadata address, or the server answers nothing or nonsense. No attempt lasts much
// longer than its timeout, or than its context.
func TestBrokersThatAreNone(t *testing.T) {
	t.Parallel()
	silent := listen(t, "")
	nonsense := listen(t, "HTTP/1.1 400 Bad Request\r\n\r\n")
	types := map[string]func(address string) Settings{
		"amqp": func(a string) Settings {
			return Settings{Type: TypeAMQP, AMQP: &AMQPSettings{URL: "amqp://kazoo:battery@" + a}}
		},
		"amqps": func(a string) Settings {
			return Settings{Type: TypeAMQP, AMQP: &AMQPSettings{URL: "amqps://kazoo:battery@" + a}}
		},
		"nats": func(a string) Settings {
			return Settings{Type: TypeNATS, NATS: &NATSSettings{URL: "nats://kazoo:battery@" + a}}
		},
		"postgres": func(a string) Settings {
			return Settings{Type: TypePostgres, Postgres: &PostgresSettings{DSN: "postgres://kazoo:battery@" + a + "/kazoo"}}
		},
	}
	for name, test := range map[string]struct {
		address string
		want    []string
	}{
		"nobody listens":      {"127.0.0.1:1", []string{"127.0.0.1:1", "can't be reached", "refused"}},
		"nothing is answered": {silent, []string{"gave no answer within 1s"}},
		"nonsense":            {nonsense, []string{nonsense}},
	} {
		for kind, settings := range types {
			t.Run(kind+", "+name, func(t *testing.T) {
				t.Parallel()
				s := settings(test.address)
				s.Timeout = time.Second
				if name != "nothing is answered" {
					s.Timeout = time.Minute
				}
				made := brokerSender(t, s)
				outcome{err: test.want}.check(t, made.Send(t.Context(), brokerMessage("id")))
				checked(t, made, test.want...)
			})
		}
	}
	for kind, settings := range types {
		t.Run(kind+", interrupted", func(t *testing.T) {
			t.Parallel()
			s := settings(silent)
			s.Timeout = time.Minute
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			outcome{err: []string{"the attempt was interrupted"}}.check(t, brokerSender(t, s).Send(ctx, brokerMessage("id")))
		})
		t.Run(kind+", closed", func(t *testing.T) {
			t.Parallel()
			made := brokerSender(t, settings(silent))
			if err := made.Close(); err != nil {
				t.Fatal(err)
			}
			if r := made.Send(t.Context(), brokerMessage("id")); r.Err == nil {
				t.Error("an attempt after Close succeeded")
			}
		})
	}
}

// listen listens on loopback, answers each connection with a text, and returns its
// address.
func listen(t *testing.T, answer string) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			if answer != "" {
				_, _ = conn.Write([]byte(answer)) // the other side may have closed
				_ = conn.(*net.TCPConn).CloseWrite()
			}
		}
	}()
	return l.Addr().String()
}

// untilRefused makes attempts at a stopped broker until one fails because nobody
// listens: the old connection may end later than the broker.
func untilRefused(t *testing.T, send func() Result) {
	t.Helper()
	var r Result
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if r = send(); r.Err == nil {
			t.Fatal("an event was delivered to a broker that is down")
		}
		if strings.Contains(r.Err.Error(), "can't be reached") && strings.Contains(r.Err.Error(), "refused") {
			return
		}
	}
	t.Fatalf("the last error is %v", r.Err)
}
