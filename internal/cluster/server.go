package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

const (
	// maxPayload is the largest message in bytes. A command has at most MaxCommand.
	maxPayload = 4 << 20
	// serverStart bounds how long the embedded server may take to open its files and to
	// accept connections. Finding the others is not part of it.
	serverStart = 30 * time.Second

	appUser, systemUser = "app", "system"
)

// embedded is this node's NATS server, with one connection for the log and one to the
// system account, for requests that only it may make.
type embedded struct {
	server      *server.Server
	options     *server.Options
	app, system *nats.Conn
	js          jetstream.JetStream
	strangers   *atomic.Int64 // Unix nanoseconds: when a node with another secret last tried to connect
}

// serve starts the server. It returns before the server has found the others.
func serve(o *Options, id identity, peers []string) (*embedded, error) {
	config, err := serverOptions(o, id, peers)
	if err != nil {
		return nil, err
	}
	s, err := server.NewServer(config)
	if err != nil {
		return nil, fmt.Errorf("start the cluster's server: %w", err)
	}
	log := serverLog{o.Log, &atomic.Pointer[string]{}, &atomic.Int64{}}
	s.SetLoggerV2(log, true, false, false)
	e := &embedded{server: s, options: config, strangers: log.strangers}
	s.Start()
	if why := log.fatal.Load(); why != nil {
		e.close()
		return nil, fmt.Errorf("start the cluster's server: %s", *why)
	}
	if err = e.listen(log.fatal); err == nil {
		err = e.connect()
	}
	if err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

// listen starts the server's routes, and waits until it listens for the other nodes. A server
// whose port is in use would have no routes, and never try again.
func (e *embedded) listen(fatal *atomic.Pointer[string]) error {
	// The server starts its routes once it listens for clients, which it never does
	// here. NATS counts this goroutine only if the server has come so far.
	ready := make(chan struct{})
	close(ready)
	go e.server.StartRouting(ready)
	for end := time.Now().Add(serverStart); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if why := fatal.Load(); why != nil {
			return fmt.Errorf("listen for the other nodes at CLUSTER_LISTEN: %s", *why)
		}
		if e.server.ClusterAddr() != nil {
			return nil
		}
	}
	return errors.New("the cluster's server doesn't listen for the other nodes at CLUSTER_LISTEN")
}

// serverOptions are the server's settings. Users have no passwords: only this process
// can connect, because no port for clients is opened.
func serverOptions(o *Options, id identity, peers []string) (*server.Options, error) {
	config := &server.Options{}
	err := config.ProcessConfigString(`
accounts {
  ` + appUser + ` { jetstream: enabled, users: [{user: ` + appUser + `, password: ""}] }
  ` + systemUser + ` { users: [{user: ` + systemUser + `, password: ""}] }
}
system_account: ` + systemUser)
	if err != nil {
		return nil, fmt.Errorf("settings of the cluster's server: %w", err)
	}
	host, port, err := splitAddr(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("CLUSTER_LISTEN: %w", err)
	}
	tlsConfig, err := trust(o.Secret, o.PreviousSecret)
	if err != nil {
		return nil, err
	}
	routes, err := routesTo(peers)
	if err != nil {
		return nil, err
	}
	config.ServerName = id.server()
	config.DontListen, config.NoSigs, config.NoSublistCache = true, true, true
	config.MaxPayload = maxPayload
	config.JetStream, config.StoreDir = true, filepath.Join(o.dir(), natsName)
	config.JetStreamMaxMemory = 1 << 30 // only a limit for accounts: nothing is reserved
	config.JetStreamMaxStore = 1 << 60
	config.SyncAlways = true
	// A node that is away is tried once a second. The server's backoff would make a
	// healed network cut last up to 30 s longer.
	config.Cluster = server.ClusterOpts{
		Name: "kazoohook", Host: host, Port: port,
		TLSConfig: tlsConfig, TLSTimeout: 5,
		NoAdvertise: true, PoolSize: -1,
	}
	config.Routes = routes
	return config, nil
}

func splitAddr(addr string) (host string, port int, err error) {
	host, service, err := net.SplitHostPort(addr)
	if err == nil {
		port, err = strconv.Atoi(service)
	}
	if err != nil {
		return "", 0, fmt.Errorf("%q is not an address of the form host:port: %w", addr, err)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	return host, port, nil
}

func routesTo(peers []string) ([]*url.URL, error) {
	var routes []*url.URL
	for _, p := range peers {
		u, err := url.Parse("nats-route://" + p)
		if err != nil {
			return nil, fmt.Errorf("CLUSTER_PEERS: %q is not an address: %w", p, err)
		}
		routes = append(routes, u)
	}
	return routes, nil
}

// connect opens the connections within the process, and checks that the server syncs
// every write.
func (e *embedded) connect() (err error) {
	if e.app, err = e.dial(appUser); err != nil {
		return err
	}
	if e.system, err = e.dial(systemUser); err != nil {
		return err
	}
	if config := e.server.JetStreamConfig(); config == nil {
		return errors.New("the cluster's server could not open its files: its messages above say why")
	} else if !config.SyncAlways {
		return errors.New("the cluster's server doesn't sync every write, so its acknowledgement would promise nothing")
	}
	e.js, err = jetstream.New(e.app)
	return err
}

// dial connects within the process.
func (e *embedded) dial(user string) (*nats.Conn, error) {
	deadline := time.Now().Add(serverStart)
	for {
		c, err := nats.Connect("", nats.InProcessServer(e.server), nats.UserInfo(user, ""), nats.Name(user),
			nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.NoEcho())
		if err == nil {
			return c, nil
		}
		if time.Now().After(deadline) || !e.server.Running() {
			return nil, fmt.Errorf("the cluster's server doesn't start: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// group returns the names of the other servers that keep the streams' settings, connected or not,
// by peerID.
func (e *embedded) group() map[string]string {
	names := map[string]string{}
	if info, err := e.server.Jsz(nil); err == nil && info.Meta != nil {
		for _, r := range info.Meta.Replicas {
			names[r.Peer] = r.Name
		}
	}
	return names
}

// request sends a request to the cluster's system account.
func (e *embedded) request(ctx context.Context, subject string, body []byte) ([]byte, error) {
	m, err := e.system.RequestWithContext(ctx, subject, body)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

// reroute gives the running server new peers. Only its routes are replaced.
func (e *embedded) reroute(peers []string) error {
	routes, err := routesTo(peers)
	if err != nil {
		return err
	}
	next := e.options.Clone()
	next.Routes = routes
	if err := e.server.ReloadOptions(next); err != nil {
		return fmt.Errorf("give the cluster's server its peers: %w", err)
	}
	e.options = next
	return nil
}

// close ends the connections and the server, and waits until its files are written.
func (e *embedded) close() {
	for _, c := range []*nats.Conn{e.app, e.system} {
		if c != nil {
			c.Close()
		}
	}
	e.server.Shutdown()
	e.server.WaitForShutdown()
}

// serverLog logs the embedded server's messages. Their text goes into a field, because
// it is not ours. A route that can't be opened is no warning: the node itself says who
// is connected.
type serverLog struct {
	log   zerolog.Logger
	fatal *atomic.Pointer[string] // why the server gave up

	strangers *atomic.Int64 // see embedded
}

func (l serverLog) say(e *zerolog.Event, format string, v []any) {
	e.Str("server", fmt.Sprintf(format, v...)).Msg("message of the cluster's server")
}

// Errorf implements the server's logger, as the other methods do.
func (l serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if strings.Contains(text, errStranger.Error()) || strings.HasSuffix(text, "tls: bad certificate") {
		l.strangers.Store(time.Now().UnixNano())
	}
	// A client that only checks whether the port is open, as doctor does, sends
	// nothing.
	looked := strings.HasSuffix(text, "handshake error: EOF")
	if looked || strings.HasPrefix(format, "Error trying to connect to route") {
		l.say(l.log.Debug(), format, v)
		return
	}
	l.say(l.log.Warn(), format, v)
}

// Noticef logs what happens.
func (l serverLog) Noticef(format string, v ...any) { l.say(l.log.Debug(), format, v) }

// Warnf logs what may matter to somebody who knows the server.
func (l serverLog) Warnf(format string, v ...any) { l.say(l.log.Debug(), format, v) }

// Fatalf logs why the server ends.
func (l serverLog) Fatalf(format string, v ...any) {
	why := fmt.Sprintf(format, v...)
	l.fatal.CompareAndSwap(nil, &why)
	l.say(l.log.Error(), format, v)
}

// Debugf logs details.
func (l serverLog) Debugf(format string, v ...any) { l.say(l.log.Trace(), format, v) }

// Tracef logs more details.
func (l serverLog) Tracef(format string, v ...any) { l.say(l.log.Trace(), format, v) }
