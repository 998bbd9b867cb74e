package brokertest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// The first PostgreSQL user, and the database.
const (
	PostgresUser     = "kazoo"
	PostgresPassword = "correct horse/battery"
	PostgresDatabase = "kazoo"
)

// Postgres is a PostgreSQL that runs for a test.
type Postgres struct {
	Port int

	t       TB
	bin     string
	data    string
	as      *syscall.Credential // for root, as whom PostgreSQL refuses to run
	process *command
}

// StartPostgres makes an empty database and starts its server.
func StartPostgres(t TB) *Postgres {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		t.Fatal("PostgreSQL (apt-get install postgresql): nothing in /usr/lib/postgresql")
	}
	slices.Sort(found)
	dir := directory(t, "postgres")
	p := &Postgres{t: t, Port: FreePort(t), bin: filepath.Dir(found[len(found)-1]), data: filepath.Join(dir, "data")}
	if os.Geteuid() == 0 {
		p.becomes(dir)
	}
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(PostgresPassword), 0o644); err != nil { //nolint:gosec // another user reads it
		t.Fatal(err)
	}
	p.tool(dir, "initdb", "-D", p.data, "-U", PostgresUser, "--pwfile", secret, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync")
	p.Start()
	p.exec("postgres", "CREATE DATABASE "+PostgresDatabase)
	return p
}

// becomes makes the server run as the user of Debian's package.
func (p *Postgres) becomes(dir string) {
	p.t.Helper()
	owner, err := user.Lookup("postgres")
	if err != nil {
		p.t.Fatal(err)
	}
	uid, err := strconv.ParseUint(owner.Uid, 10, 32)
	if err != nil {
		p.t.Fatal(err)
	}
	gid, err := strconv.ParseUint(owner.Gid, 10, 32)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		p.t.Fatal(err)
	}
	p.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (p *Postgres) command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...) //nolint:gosec,noctx // the test's own, which stops it
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	return cmd
}

func (p *Postgres) tool(dir, name string, args ...string) {
	p.t.Helper()
	if out, err := p.command(dir, name, args...).CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// Start starts the server with the data that it had when it was stopped.
func (p *Postgres) Start() {
	p.t.Helper()
	p.process = run(p.t, syscall.SIGQUIT, p.command(filepath.Dir(p.data), "postgres", "-D", p.data, "-p", strconv.Itoa(p.Port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=100"))
	p.process.until(p.t, "PostgreSQL", func() error {
		ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
		defer cancel()
		conn, err := pgx.Connect(ctx, p.dsn(PostgresUser, PostgresPassword, "postgres"))
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
}

// Stop kills the server and its processes at once: it recovers at the next start.
func (p *Postgres) Stop() { p.process.kill(syscall.SIGQUIT) }

// Freeze stops the server's work until Thaw: its connections stay open.
func (p *Postgres) Freeze() { p.send(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (p *Postgres) Thaw() { p.send(syscall.SIGCONT) }

// send sends a signal to the server and to its children: each child leads its own
// process group. The server is first, so that it starts no more children.
func (p *Postgres) send(signal syscall.Signal) {
	p.process.send(signal)
	pid := strconv.Itoa(p.process.cmd.Process.Pid)
	children, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, child := range strings.Fields(string(children)) {
		if n, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(n, signal) // the child may have ended
		}
	}
}

// DSN returns the DSN of the database, with the first user and its password.
func (p *Postgres) DSN() string { return p.DSNFor(PostgresUser, PostgresPassword) }

// DSNFor returns the DSN for a user.
func (p *Postgres) DSNFor(login, password string) string {
	return p.dsn(login, password, PostgresDatabase)
}

func (p *Postgres) dsn(login, password, database string) string {
	return (&url.URL{Scheme: "postgres", User: url.UserPassword(login, password), Host: "127.0.0.1:" + strconv.Itoa(p.Port), Path: database}).String()
}

// Exec runs SQL as the first user.
func (p *Postgres) Exec(sql string) { p.t.Helper(); p.exec(PostgresDatabase, sql) }

func (p *Postgres) exec(database, sql string) {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.dsn(PostgresUser, PostgresPassword, database))
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(p.t.Context())) }()
	if _, err := conn.Exec(p.t.Context(), sql); err != nil {
		p.t.Fatalf("%s: %v", sql, err)
	}
}

// Texts returns the rows of a query that selects one text.
func (p *Postgres) Texts(sql string) []string {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.DSN())
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(p.t.Context())) }()
	rows, err := conn.Query(p.t.Context(), sql)
	if err != nil {
		p.t.Fatal(err)
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		p.t.Fatal(fmt.Errorf("%s: %w", sql, err))
	}
	return texts
}

// Lock locks a table until the returned function is called.
func (p *Postgres) Lock(table string) (release func()) {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.DSN())
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := conn.Exec(p.t.Context(), "BEGIN; LOCK TABLE "+pgx.Identifier{table}.Sanitize()); err != nil {
		p.t.Fatal(err)
	}
	return func() { _ = conn.Close(context.WithoutCancel(p.t.Context())) } // the server ends the transaction
}
