package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// columns are the table's columns, in order. An existing table may have more, if an
// INSERT can leave them out.
var columns = []struct{ name, definition string }{
	{"event_id", "text PRIMARY KEY"},
	{"seq", "bigint NOT NULL"},
	{"event", "text NOT NULL"},
	{"account_id", "text"},
	{"object_id", "text"},
	{"at", "timestamptz NOT NULL"},
	{"body", "jsonb NOT NULL"},
}

func columnNames() []string {
	var names []string
	for _, c := range columns {
		names = append(names, c.name)
	}
	return names
}

// creation returns the SQL that creates the table.
func (s *postgresSender) creation() string {
	var b strings.Builder
	b.WriteString("CREATE TABLE IF NOT EXISTS " + s.table + " (")
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.name + " " + c.definition)
	}
	b.WriteString(")")
	return b.String()
}

// shapeError is an error of the table, not of an event: one sentence.
type shapeError struct{ text string }

func (e *shapeError) Error() string { return e.text }

func shape(format string, args ...any) error { return &shapeError{fmt.Sprintf(format, args...)} }

// querier is a connection, or a pool of them.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// prepare creates the table if there is none, and checks its shape. CREATE TABLE IF NOT
// EXISTS alone would need the right to create even if the table exists.
func (s *postgresSender) prepare(ctx context.Context) error {
	oid, err := s.find(ctx, s.pool)
	if err != nil {
		return err
	}
	if oid == nil {
		if err := s.create(ctx); err != nil {
			return err
		}
		if oid, err = s.find(ctx, s.pool); err != nil {
			return err
		}
		if oid == nil {
			return shape("the table %s was created and is not there", s.table)
		}
	}
	return s.checkShape(ctx, s.pool, *oid)
}

// find returns the table's object id, nil if there is no table.
func (s *postgresSender) find(ctx context.Context, q querier) (*uint32, error) {
	var oid *uint32
	err := q.QueryRow(ctx, "SELECT to_regclass($1::text)::oid", s.table).Scan(&oid)
	return oid, err
}

func (s *postgresSender) create(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, s.creation())
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		return err
	}
	switch answer.Code {
	case "42P07", "23505", "42710": // another session created it at the same time
		return nil
	case "42501":
		return shape("the table %s is not there, and the user %s may not create it (%s): grant the right, or create it with %s", s.table, quoted(s.config.ConnConfig.User), answer.Message, s.creation())
	case "3F000":
		return shape("the table %s can't be created: %s", s.table, answer.Message)
	}
	return err
}

// checkShape returns an error that says what the table lacks.
func (s *postgresSender) checkShape(ctx context.Context, q querier, oid uint32) error {
	rows, err := q.Query(ctx, "SELECT attname::text FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped", oid)
	if err != nil {
		return err
	}
	has, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	lacks := slices.DeleteFunc(columnNames(), func(name string) bool { return slices.Contains(has, name) })
	if len(lacks) > 0 {
		return shape("the table %s has the wrong shape: it lacks %s; name another table, or make it as %s", s.table, strings.Join(lacks, ", "), s.creation())
	}
	var unique bool
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
		WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1 AND i.indpred IS NULL AND a.attname = 'event_id')`, oid).Scan(&unique)
	if err == nil && !unique {
		return shape("the table %s has the wrong shape: event_id is neither its primary key nor unique by itself, so an event could be there twice", s.table)
	}
	return err
}

// inspect reports whether rows can be inserted, without changing anything.
func (s *postgresSender) inspect(ctx context.Context, conn *pgx.Conn) error {
	var readOnly string
	if err := conn.QueryRow(ctx, "SELECT current_setting('transaction_read_only')").Scan(&readOnly); err != nil {
		return err
	}
	if readOnly == "on" {
		return shape("the database takes no writes: it is a standby, or read-only")
	}
	oid, err := s.find(ctx, conn)
	if err != nil {
		return err
	}
	if oid == nil {
		return s.inspectSchema(ctx, conn)
	}
	if err := s.checkShape(ctx, conn, *oid); err != nil {
		return err
	}
	var may bool
	if err := conn.QueryRow(ctx, "SELECT has_table_privilege($1::oid, 'INSERT') AND has_table_privilege($1::oid, 'SELECT')", *oid).Scan(&may); err != nil {
		return err
	}
	if !may {
		return s.noRight()
	}
	return nil
}

// inspectSchema reports whether the table could be created.
func (s *postgresSender) inspectSchema(ctx context.Context, conn *pgx.Conn) error {
	var schema *string
	if name, _, ok := strings.Cut(s.d.Postgres.Table, "."); ok {
		schema = &name
	}
	var may *bool
	err := conn.QueryRow(ctx, "SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = coalesce($1::text, current_schema())", schema).Scan(&may)
	switch {
	case errors.Is(err, pgx.ErrNoRows) && schema != nil:
		return shape("the table %s can't be created: there is no schema %s", s.table, quoted(*schema))
	case errors.Is(err, pgx.ErrNoRows):
		return shape("the table %s can't be created: none of the schemas of search_path is there", s.table)
	case err != nil:
		return err
	case may == nil || !*may:
		return shape("the table %s is not there, and the user %s may not create it: grant the right, or create it with %s", s.table, quoted(s.config.ConnConfig.User), s.creation())
	}
	return nil
}

func (s *postgresSender) noRight() error {
	return shape("the user %s may not write to the table %s: it needs the rights INSERT and SELECT", quoted(s.config.ConnConfig.User), s.table)
}

// outages are the classes of errors that say nothing about the event: connection,
// login, database, transaction, resources, operator, system, configuration, internal.
var outages = []string{"08", "0A", "25", "28", "3D", "40", "53", "55", "57", "58", "F0", "XX"}

// failed returns the result of an attempt that inserted no row.
func (s *postgresSender) failed(ctx context.Context, err error) Result {
	var wrong *shapeError
	var answer *pgconn.PgError
	switch {
	case errors.As(err, &wrong):
		return Result{Answered: true, Err: fmt.Errorf("%s: %w", s.name, err)}
	case errors.As(err, &answer):
		return s.refused(answer)
	}
	if interrupted := interrupted(ctx, err, s.name, s.d.Timeout); interrupted != nil {
		return Result{Err: interrupted}
	}
	if errors.Is(err, errMetadata) {
		return Result{Err: fmt.Errorf("%s: the connection was %w", s.name, errMetadata)}
	}
	var connecting *pgconn.ConnectError
	if errors.As(err, &connecting) {
		return Result{Err: fmt.Errorf("%s can't be reached: %s", s.name, excerpt([]byte(errors.Unwrap(connecting).Error()), s.mask))}
	}
	return Result{Err: fmt.Errorf("%s: the connection was lost: %s", s.name, s.mask.Replace(withoutAddress(err)))}
}

// refused returns the result of an attempt that PostgreSQL answered with an error.
func (s *postgresSender) refused(e *pgconn.PgError) Result {
	said := excerpt([]byte(e.Message), s.mask)
	r := Result{Status: "SQLSTATE " + e.Code, Answered: len(e.Code) == 5 && !slices.Contains(outages, e.Code[:2])}
	user, database := quoted(s.config.ConnConfig.User), quoted(s.config.ConnConfig.Database)
	switch {
	case strings.HasPrefix(e.Code, "28"):
		r.Err = fmt.Errorf("%s refused the login of the user %s: check the user and the password of the DSN (%s)", s.name, user, said)
	case e.Code == "3D000":
		r.Err = fmt.Errorf("%s has no database %s (%s)", s.name, database, said)
	case e.Code == "42501":
		r.Err = fmt.Errorf("%s: the user %s lacks a right: INSERT and SELECT are needed on the table %s (%s)", s.name, user, s.table, said)
	case e.Code == "42P01":
		r.Err = fmt.Errorf("%s: the table %s is not there any more (%s): the next attempt makes it", s.name, s.table, said)
	case e.Code == "42P10", e.Code == "42703", e.Code == "42804":
		r.Err = fmt.Errorf("%s: the table %s has the wrong shape (%s): it is made with %s", s.name, s.table, said, s.creation())
	case e.Code == "25006":
		r.Err = fmt.Errorf("%s takes no writes: it is a standby, or read-only (%s)", s.name, said)
	case strings.HasPrefix(e.Code, "53"):
		r.Err = fmt.Errorf("%s is out of a resource (%s, SQLSTATE %s)", s.name, said, e.Code)
	case strings.HasPrefix(e.Code, "57"):
		r.Err = fmt.Errorf("%s is stopping, starting or was asked to end the attempt (%s, SQLSTATE %s)", s.name, said, e.Code)
	default:
		r.Err = fmt.Errorf("%s refused the row (%s, SQLSTATE %s)", s.name, said, e.Code)
	}
	return r
}
