package delivery

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"kazoohook/internal/delivery/brokertest"
)

// natsServer runs a real server. streams makes its streams.
func natsServer(t *testing.T, change func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, MaxPayload: 64 << 10, AuthTimeout: 60}
	if change != nil {
		change(o)
	}
	return startNATS(t, o)
}

func startNATS(t *testing.T, o *server.Options) *server.Server {
	t.Helper()
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("nats-server did not start")
	}
	return s
}

// jetStream connects the test itself to a server, which may be slow.
func jetStream(t *testing.T, url string, options ...nats.Option) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, append(options, nats.Timeout(time.Minute))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// streams makes the streams of a server.
func streams(t *testing.T, url string, options ...nats.Option) jetstream.JetStream {
	t.Helper()
	js := jetStream(t, url, options...)
	for _, c := range []jetstream.StreamConfig{
		{Name: "EVENTS", Subjects: []string{"kazoo.user.>", "kazoo.large"}},
		{Name: "FULL", Subjects: []string{"kazoo.full"}, MaxMsgs: 1, Discard: jetstream.DiscardNew},
	} {
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return js
}

func natsSettings(url, subject string) Settings {
	return Settings{Type: TypeNATS, Timeout: time.Minute, Events: []string{"user.*"}, NATS: &NATSSettings{URL: url, Subject: subject}}
}

// TestNATS sends to a real server.
func TestNATS(t *testing.T) {
	t.Parallel()
	const password = "correct horse/battery"
	s := natsServer(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "kazoo", Password: password},
			{Username: "reader", Password: password, Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{"other.>"}}}},
		}
	})
	address := s.Addr().String()
	login := func(user, password string) string {
		return "nats://" + user + ":" + strings.ReplaceAll(password, " ", "%20") + "@" + address
	}
	good := login("kazoo", strings.ReplaceAll(password, "/", "%2F"))
	streams(t, good)
	deaf := natsServer(t, func(o *server.Options) { o.JetStream = false })
	for name, test := range map[string]struct {
		url, route string
		want       outcome
		check      []string // of Check
	}{
		"to a stream":         {good, "kazoo.user.deleted", outcome{status: "in stream EVENTS"}, nil},
		"one of two servers":  {"nats://kazoo:x@127.0.0.1:1," + good, "kazoo.user.deleted", outcome{status: "in stream EVENTS"}, nil},
		"no stream":           {good, "kazoo.device.created", outcome{err: []string{`has no stream that takes the subject "kazoo.device.created"`}, answered: true}, nil},
		"full stream":         {good, "kazoo.full", outcome{err: []string{"did not take the event", "maximum messages exceeded"}, answered: false}, nil},
		"too large":           {good, "kazoo.large", outcome{err: []string{"takes no message of 70000 bytes"}, answered: true}, nil},
		"no JetStream":        {"nats://" + deaf.Addr().String(), "kazoo.user.deleted", outcome{err: []string{"has no JetStream"}}, []string{"has no JetStream"}},
		"no right to publish": {login("reader", strings.ReplaceAll(password, "/", "%2F")), "kazoo.user.deleted", outcome{err: []string{`does not let this user publish to the subject "kazoo.user.deleted"`}, answered: true}, nil},
		"wrong password":      {login("kazoo", "wrong-battery"), "kazoo.user.deleted", outcome{err: []string{"refused the login", "authorization violation"}}, []string{"refused the login"}},
		"nobody listens":      {"nats://127.0.0.1:1", "kazoo.user.deleted", outcome{err: []string{"can't be reached", "refused"}}, []string{"can't be reached", "refused"}},
		"no TLS there":        {strings.Replace(good, "nats:", "tls:", 1), "kazoo.user.deleted", outcome{err: []string{"can't be reached", "secure connection not available"}}, []string{"can't be reached"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := brokerSender(t, natsSettings(test.url, "kazoo.user.{{.action}}"))
			if name == "full stream" {
				m := brokerMessage("first")
				m.Route = test.route
				outcome{}.check(t, s.Send(t.Context(), m))
			}
			for attempt := range 3 {
				m := brokerMessage(fmt.Sprintf("%s-%d", name, attempt))
				m.Route = test.route
				if name == "too large" {
					m.Body = make([]byte, 70000)
				}
				test.want.check(t, s.Send(t.Context(), m))
			}
			checked(t, s, test.check...)
		})
	}
}

// TestNATSMessage compares the stream's message with what was sent. An event that is
// sent twice is there once.
func TestNATSMessage(t *testing.T) {
	t.Parallel()
	url := natsServer(t, nil).ClientURL()
	js := streams(t, url)
	s := brokerSender(t, natsSettings(url, ""))
	m := brokerMessage("id-1")
	m.Route, m.Redelivered, m.Traceparent = "kazoo.user.deleted", true, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	outcome{status: "in stream EVENTS"}.check(t, s.Send(t.Context(), m))
	outcome{status: "duplicate in stream EVENTS"}.check(t, s.Send(t.Context(), m))
	stream, err := js.Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 1 {
		t.Errorf("the stream has %d messages, want 1", n)
	}
	got, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	want := nats.Header{"Nats-Msg-Id": {"id-1"}, "Content-Type": {"application/json"}, "seq": {"42"}, "event": {"user.deleted"},
		"account": {m.Account}, "redelivered": {"true"}, "traceparent": {m.Traceparent}}
	if got.Subject != m.Route || !bytes.Equal(got.Data, m.Body) || fmt.Sprint(got.Header) != fmt.Sprint(want) {
		t.Errorf("the stream has %s %v %s", got.Subject, got.Header, got.Data)
	}
}

// TestNATSRestart stops the server between attempts and during attempts.
func TestNATSRestart(t *testing.T) {
	t.Parallel()
	var options *server.Options
	first := natsServer(t, func(o *server.Options) { options, o.Port = o, brokertest.FreePort(t) })
	streams(t, first.ClientURL())
	s := brokerSender(t, natsSettings(first.ClientURL(), "kazoo.user.deleted"))
	send := func(id string) Result {
		m := brokerMessage(id)
		m.Route = "kazoo.user.deleted"
		return s.Send(t.Context(), m)
	}
	outcome{}.check(t, send("before"))
	var mu sync.Mutex
	confirmed := []string{"before"}
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{}, 4)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if id := fmt.Sprintf("load-%d-%d", worker, i); send(id).Err == nil {
					mu.Lock()
					confirmed = append(confirmed, id)
					mu.Unlock()
				}
				if i == 10 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range 4 {
		<-begun
	}
	first.Shutdown()
	first.WaitForShutdown()
	cancel()
	wg.Wait()
	untilRefused(t, func() Result { return send("down") })
	again := startNATS(t, options)
	outcome{}.check(t, send("after"))

	seen := map[string]bool{}
	stream, err := jetStream(t, again.ClientURL()).Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	for seq := range stream.CachedInfo().State.LastSeq {
		m, err := stream.GetMsg(t.Context(), seq+1)
		if err != nil {
			t.Fatal(err)
		}
		if id := m.Header.Get("Nats-Msg-Id"); seen[id] {
			t.Errorf("%s is there twice", id)
		} else {
			seen[id] = true
		}
	}
	for _, id := range append(confirmed, "after") {
		if !seen[id] {
			t.Errorf("%s was confirmed and is not in the stream", id)
		}
	}
}

// TestNATSCredentials logs in with the right credentials file, another account's, and
// none.
func TestNATSCredentials(t *testing.T) {
	t.Parallel()
	operator, account := keyPair(t, nkeys.CreateOperator), keyPair(t, nkeys.CreateAccount)
	claims := jwt.NewAccountClaims(public(t, account))
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, MemoryStorage: -1, Streams: -1, Consumer: -1}
	token, err := claims.Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	resolver := &server.MemAccResolver{}
	if err := resolver.Store(public(t, account), token); err != nil {
		t.Fatal(err)
	}
	system := keyPair(t, nkeys.CreateAccount)
	token, err = jwt.NewAccountClaims(public(t, system)).Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	if err := resolver.Store(public(t, system), token); err != nil {
		t.Fatal(err)
	}
	url := natsServer(t, func(o *server.Options) {
		o.SystemAccount = public(t, system)
		o.TrustedKeys, o.AccountResolver = []string{public(t, operator)}, resolver
	}).ClientURL()
	credentials := func(signer nkeys.KeyPair) string {
		user := keyPair(t, nkeys.CreateUser)
		token, err := jwt.NewUserClaims(public(t, user)).Encode(signer)
		if err != nil {
			t.Fatal(err)
		}
		seed, err := user.Seed()
		if err != nil {
			t.Fatal(err)
		}
		content, err := jwt.FormatUserConfig(token, seed)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "kazoo.creds")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := credentials(account)
	streams(t, url, nats.UserCredentials(good))
	for name, test := range map[string]struct {
		file string
		want outcome
	}{
		"right":             {good, outcome{status: "in stream EVENTS"}},
		"another account's": {credentials(keyPair(t, nkeys.CreateAccount)), outcome{err: []string{"refused the login", "credentials_file"}}},
		"none":              {"", outcome{err: []string{"refused the login"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := natsSettings(url, "kazoo.user.deleted")
			settings.NATS.Credentials = test.file
			s := brokerSender(t, settings)
			m := brokerMessage(name)
			m.Route = "kazoo.user.deleted"
			test.want.check(t, s.Send(t.Context(), m))
			checked(t, s, test.want.err...)
		})
	}
}

func keyPair(t *testing.T, create func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	t.Helper()
	pair, err := create()
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func public(t *testing.T, pair nkeys.KeyPair) string {
	t.Helper()
	key, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestNATSTLS: a certificate of an unknown authority is refused.
func TestNATSTLS(t *testing.T) {
	t.Parallel()
	dir := writeCertificates(t)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s := natsServer(t, func(o *server.Options) {
		o.TLS, o.TLSTimeout = true, 60
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	})
	to := brokerSender(t, natsSettings("tls://"+s.Addr().String(), "kazoo.user.deleted"))
	outcome{err: []string{"can't be reached", "certificate signed by unknown authority"}}.check(t, to.Send(t.Context(), brokerMessage("id")))
	checked(t, to, "certificate signed by unknown authority")
}
