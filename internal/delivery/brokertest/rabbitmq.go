package brokertest

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// The RabbitMQ user.
const (
	RabbitUser     = "kazoo"
	RabbitPassword = "correct horse/battery"
)

// RabbitMQ is a RabbitMQ that runs for a test.
type RabbitMQ struct {
	Port    int
	TLSPort int // 0 without certificates

	t       TB
	dir     string
	environ []string
	process *command
}

// StartRabbitMQ starts a RabbitMQ. If certificates isn't "", it is a directory with
// ca.pem, cert.pem and key.pem, and RabbitMQ also listens with TLS.
func StartRabbitMQ(t TB, certificates string) *RabbitMQ {
	t.Helper()
	const program = "/usr/lib/rabbitmq/bin/rabbitmq-server" // the one in PATH changes the user
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("RabbitMQ (apt-get install rabbitmq-server): %v", err)
	}
	r := &RabbitMQ{t: t, dir: directory(t, "rabbitmq"), Port: FreePort(t)}
	conf := fmt.Sprintf("listeners.tcp.1 = 127.0.0.1:%d\ndefault_user = %s\ndefault_pass = %s\nlog.console = true\nlog.console.level = warning\ndisk_free_limit.absolute = 1MB\nhandshake_timeout = 120000\nssl_handshake_timeout = 120000\n",
		r.Port, RabbitUser, RabbitPassword)
	if certificates != "" {
		r.TLSPort = FreePort(t)
		conf += fmt.Sprintf("listeners.ssl.1 = 127.0.0.1:%d\nssl_options.cacertfile = %s\nssl_options.certfile = %s\nssl_options.keyfile = %s\n",
			r.TLSPort, filepath.Join(certificates, "ca.pem"), filepath.Join(certificates, "cert.pem"), filepath.Join(certificates, "key.pem"))
	}
	r.put("rabbitmq.conf", conf)
	r.put("enabled_plugins", "[].\n")
	r.put(".erlang.cookie", "brokertest")
	if err := os.Chmod(filepath.Join(r.dir, ".erlang.cookie"), 0o400); err != nil {
		t.Fatal(err)
	}
	epmd := strconv.Itoa(FreePort(t))
	r.environ = append(os.Environ(),
		"HOME="+r.dir, "RABBITMQ_BASE="+r.dir, "RABBITMQ_NODENAME=kazoohook"+strconv.Itoa(r.Port)+"@localhost",
		"RABBITMQ_MNESIA_BASE="+filepath.Join(r.dir, "mnesia"), "RABBITMQ_LOG_BASE="+filepath.Join(r.dir, "log"),
		"RABBITMQ_CONFIG_FILE="+filepath.Join(r.dir, "rabbitmq.conf"), "RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(r.dir, "enabled_plugins"),
		"RABBITMQ_CONF_ENV_FILE=/dev/null", "RABBITMQ_PID_FILE="+filepath.Join(r.dir, "pid"),
		"RABBITMQ_DIST_PORT="+strconv.Itoa(FreePort(t)), "ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT="+epmd)
	t.Cleanup(func() {
		stop := exec.Command("epmd", "-port", epmd, "-kill") //nolint:gosec,noctx // a daemon that the server leaves behind
		stop.Env = r.environ
		_ = stop.Run() // there is no daemon if the server ended before it started one
	})
	r.Start()
	return r
}

func (r *RabbitMQ) put(name, content string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// Start starts the server with the data that it had when it was stopped.
func (r *RabbitMQ) Start() {
	r.t.Helper()
	cmd := exec.Command("/usr/lib/rabbitmq/bin/rabbitmq-server") //nolint:noctx // the test stops it
	cmd.Env, cmd.Dir = r.environ, r.dir
	r.process = run(r.t, syscall.SIGKILL, cmd)
	r.process.until(r.t, "RabbitMQ", func() error {
		conn, err := amqp.Dial(r.URL())
		if err != nil {
			return err
		}
		return conn.Close()
	})
	r.Control("await_startup") // it listens before it is ready
}

// Stop kills the server.
func (r *RabbitMQ) Stop() { r.process.kill(syscall.SIGKILL) }

// Freeze stops the server's work until Thaw: its connections stay open.
func (r *RabbitMQ) Freeze() { r.process.send(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (r *RabbitMQ) Thaw() { r.process.send(syscall.SIGCONT) }

// URL returns the server's URL, with the user and password.
func (r *RabbitMQ) URL() string { return r.URLFor(RabbitUser, RabbitPassword) }

// URLFor returns the URL for a user.
func (r *RabbitMQ) URLFor(user, password string) string {
	return (&url.URL{Scheme: "amqp", User: url.UserPassword(user, password), Host: "127.0.0.1:" + strconv.Itoa(r.Port), Path: "/"}).String()
}

// Control runs rabbitmqctl.
func (r *RabbitMQ) Control(args ...string) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "/usr/lib/rabbitmq/lib/"+r.version()+"/sbin/rabbitmqctl", args...) //nolint:gosec // the test's own
	cmd.Env, cmd.Dir = r.environ, r.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("rabbitmqctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (r *RabbitMQ) version() string {
	r.t.Helper()
	found, err := filepath.Glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*")
	if err != nil || len(found) == 0 {
		r.t.Fatalf("no RabbitMQ in /usr/lib/rabbitmq/lib: %v", err)
	}
	return filepath.Base(found[0])
}

// Channel opens a channel on a new connection for the test itself.
func (r *RabbitMQ) Channel() *amqp.Channel {
	r.t.Helper()
	conn, err := amqp.Dial(r.URL())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.CloseDeadline(time.Now().Add(time.Second)) }) // the server may be down
	ch, err := conn.Channel()
	if err != nil {
		r.t.Fatal(err)
	}
	return ch
}

// Script runs a shell script that may call rabbitmqctl.
func (r *RabbitMQ) Script(script string) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "sh", "-ec", script) //nolint:gosec // the test's own
	cmd.Env = append(slices.Clone(r.environ), "PATH=/usr/lib/rabbitmq/lib/"+r.version()+"/sbin:"+os.Getenv("PATH"))
	cmd.Dir = r.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("%s: %v\n%s", script, err, out)
	}
}
