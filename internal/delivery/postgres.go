package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maxIdentifier is the longest name that PostgreSQL keeps whole, in bytes.
const maxIdentifier = 63

// check reports what is wrong with the settings.
func (s *PostgresSettings) check(p *problems) {
	if _, err := s.config(); err != nil {
		p.add("dsn", "%w", err)
	}
	parts := strings.Split(s.Table, ".")
	if len(parts) > 2 {
		p.add("table", "%s has more than one dot: it is a table's name, or schema.table", quoted(s.Table))
		return
	}
	for _, part := range parts {
		switch {
		case part == "":
			p.add("table", "%s lacks a name before or after its dot", quoted(s.Table))
		case len(part) > maxIdentifier:
			p.add("table", "%s is longer than %d bytes", quoted(part), maxIdentifier)
		case printed([]byte(part)) != part:
			p.add("table", "%s holds a character that can't be printed, or blanks around it", quoted(part))
		}
	}
}

// config parses the DSN. An error doesn't quote it: it may hold a password.
func (s *PostgresSettings) config() (*pgxpool.Config, error) {
	if strings.TrimSpace(s.DSN) == "" {
		return nil, errors.New("it is missing: postgres://user:password@host:port/database")
	}
	c, err := pgxpool.ParseConfig(s.DSN)
	var file *fs.PathError
	switch {
	case errors.As(err, &file):
		return nil, fmt.Errorf("the file %s that it names can't be read: %w", quoted(file.Path), file.Err)
	case err != nil:
		return nil, errors.New("it can't be read; it is postgres://user:password@host:port/database?sslmode=verify-full, where a special character of the user or password stands as % and two hexadecimal digits, or key=value pairs as in libpq")
	case isMetadataHost(c.ConnConfig.Host):
		return nil, fmt.Errorf("%s is %w", c.ConnConfig.Host, errMetadata)
	}
	return c, nil
}

// identifier returns the table's name for SQL, quoted.
func (s *PostgresSettings) identifier() string {
	return pgx.Identifier(strings.Split(s.Table, ".")).Sanitize()
}

// postgresSender inserts a row for each event.
type postgresSender struct {
	d      *Destination
	config *pgxpool.Config
	pool   *pgxpool.Pool
	name   string // used in errors
	mask   *strings.Replacer
	table  string      // its name in SQL
	ready  atomic.Bool // the table exists and has the right shape
}

func newPostgresSender(d *Destination) (*postgresSender, error) {
	config, err := d.Postgres.config()
	if err != nil {
		return nil, err
	}
	c := config.ConnConfig
	s := &postgresSender{
		d: d, config: config, table: d.Postgres.identifier(),
		name: "PostgreSQL at " + net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))),
		mask: masking(d.Postgres.DSN, c.Password),
	}
	config.MaxConns = int32(d.Concurrency)
	config.MinConns, config.MinIdleConns = 0, 0
	config.MaxConnIdleTime = 5 * time.Minute
	config.PingTimeout = 5 * time.Second
	c.ConnectTimeout = d.Timeout
	c.DialFunc = dialPostgres
	if !strings.Contains(d.Postgres.DSN, "default_query_exec_mode") {
		c.DefaultQueryExecMode = pgx.QueryExecModeExec // nothing is prepared: that works behind every pooler
	}
	if _, ok := c.RuntimeParams["application_name"]; !ok {
		c.RuntimeParams["application_name"] = "kazoohook " + d.Name
	}
	s.pool, err = pgxpool.NewWithConfig(context.Background(), config) // it connects when it is first used
	if err != nil {
		return nil, errors.New("the settings of the pool can't be used")
	}
	return s, nil
}

func dialPostgres(ctx context.Context, network, address string) (net.Conn, error) {
	if network == "unix" {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return newBrokerDialer().DialContext(ctx, network, address)
}

// Send inserts the event's row, unless a row with its id exists.
func (s *postgresSender) Send(ctx context.Context, m *Message) Result {
	ctx, cancel := context.WithTimeout(ctx, s.d.Timeout)
	defer cancel()
	if !s.ready.Load() {
		if err := s.prepare(ctx); err != nil {
			return s.failed(ctx, err)
		}
		s.ready.Store(true)
	}
	tag, err := s.insert(ctx, m, jsonOf(m.Body))
	if refusesValue(err) {
		tag, err = s.insert(ctx, m, textOf(m.Body))
	}
	switch {
	case err != nil:
		s.ready.Store(false) // the table may have been changed
		return s.failed(ctx, err)
	case tag.RowsAffected() == 0:
		return Result{Status: "the row was there"}
	}
	return Result{Status: "1 row"}
}

func (s *postgresSender) insert(ctx context.Context, m *Message, body string) (pgconn.CommandTag, error) {
	return s.pool.Exec(ctx, "INSERT INTO "+s.table+" (event_id, seq, event, account_id, object_id, at, body)"+
		" VALUES ($1::text, $2::bigint, $3::text, $4::text, $5::text, $6::timestamptz, $7::jsonb) ON CONFLICT (event_id) DO NOTHING",
		column(m.EventID), m.Seq, column(m.Event), nullable(m.Account), nullable(m.Object), m.Received, body)
}

// column returns a text that PostgreSQL accepts.
func column(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "")
}

// nullable returns null for a text that the event lacks.
func nullable(s string) *string {
	if s = column(s); s == "" {
		return nil
	}
	return &s
}

// jsonOf returns the body as JSON. A template may have made something else.
func jsonOf(body []byte) string {
	if json.Valid(body) {
		return strings.ToValidUTF8(string(body), "\ufffd")
	}
	return textOf(body)
}

// textOf returns the body as a JSON string. It is for bodies that are not JSON, and for
// JSON that jsonb can't hold: the character U+0000, half a surrogate pair, a number of
// more than 131,072 digits.
func textOf(body []byte) string {
	text, err := json.Marshal(column(string(body)))
	if err != nil { // a string always has a JSON form
		return `""`
	}
	return string(text)
}

// refusesValue reports whether PostgreSQL can't hold a value: a data exception, or a
// limit exceeded.
func refusesValue(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && (strings.HasPrefix(answer.Code, "22") || strings.HasPrefix(answer.Code, "54"))
}

// Check makes its own connection and logs in. It checks that the table exists in the
// right shape and may be written, or may be created.
func (s *postgresSender) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.d.Timeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, s.config.ConnConfig.Copy())
	if err != nil {
		return s.failed(ctx, err).Err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing was written
	if err := s.inspect(ctx, conn); err != nil {
		return s.failed(ctx, err).Err
	}
	return nil
}

// Close ends the connections.
func (s *postgresSender) Close() error {
	s.pool.Close()
	return nil
}
