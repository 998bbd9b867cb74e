package journal

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"modernc.org/sqlite"
)

// conn is one connection to the database with its prepared statements, used by
// one goroutine at a time. It is the driver's own connection: database/sql's
// pool, conversions and locks would cost the writer a fifth of its time.
type conn struct {
	dc    driver.Conn
	stmts map[string]driver.Stmt
	fault func(sql string) error
	args  []driver.NamedValue // of the call that runs: the driver keeps none
}

// openConn opens path with the pragmas given, e.g. "synchronous(full)".
func openConn(path string, pragmas ...string) (*conn, error) {
	q := url.Values{"_pragma": append([]string{"busy_timeout(5000)"}, pragmas...)}
	dc, err := new(sqlite.Driver).Open("file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode())
	if err != nil {
		return nil, err
	}
	return &conn{dc: dc, stmts: map[string]driver.Stmt{}}, nil
}

func (c *conn) prepare(sql string) (driver.Stmt, error) {
	if s, ok := c.stmts[sql]; ok {
		return s, c.broken(sql)
	}
	s, err := c.once(sql)
	if err == nil {
		c.stmts[sql] = s
	}
	return s, err
}

// broken is what a test wants to go wrong.
func (c *conn) broken(sql string) error {
	if c.fault == nil {
		return nil
	}
	return c.fault(sql)
}

// once prepares a statement that its caller closes.
func (c *conn) once(sql string) (driver.Stmt, error) {
	if err := c.broken(sql); err != nil {
		return nil, err
	}
	s, err := c.dc.Prepare(sql)
	if err != nil {
		return nil, fmt.Errorf("%w in %.60q", err, sql)
	}
	return s, nil
}

// exec runs a statement that is prepared once and kept.
func (c *conn) exec(sql string, args ...any) error {
	return c.execNamed(sql, c.named(args))
}

func (c *conn) execNamed(sql string, args []driver.NamedValue) error {
	s, err := c.prepare(sql)
	if err != nil {
		return err
	}
	_, err = s.(driver.StmtExecContext).ExecContext(context.Background(), args)
	return err
}

// rows calls each for every row of a query that is prepared once and kept; the
// values are valid during the call. each may stop it by returning errStop.
func (c *conn) rows(ctx context.Context, sql string, args []any, each func([]driver.Value) error) error {
	s, err := c.prepare(sql)
	if err != nil {
		return err
	}
	return c.scan(ctx, s, args, each)
}

// adhoc is rows for a query that is not worth keeping.
func (c *conn) adhoc(ctx context.Context, sql string, args []any, each func([]driver.Value) error) (err error) {
	s, err := c.once(sql)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return c.scan(ctx, s, args, each)
}

var errStop = errors.New("stop")

func (c *conn) scan(ctx context.Context, s driver.Stmt, args []any, each func([]driver.Value) error) (err error) {
	rows, err := s.(driver.StmtQueryContext).QueryContext(ctx, c.named(args))
	if err != nil {
		return err
	}
	defer func() {
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
	}()
	vals := make([]driver.Value, len(rows.Columns()))
	for {
		if err := rows.Next(vals); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := each(vals); err != nil {
			if errors.Is(err, errStop) {
				return nil
			}
			return err
		}
	}
}

// row reads one row of integers; found is false when there is none. NULL reads
// as 0.
func (c *conn) ints(ctx context.Context, sql string, args []any, into ...*int64) (found bool, err error) {
	err = c.rows(ctx, sql, args, func(v []driver.Value) error {
		found = true
		for i, p := range into {
			*p, _ = v[i].(int64)
		}
		return errStop
	})
	return found, err
}

// named gives arguments their places.
func (c *conn) named(args []any) []driver.NamedValue {
	nv := c.room(len(args))
	for i, a := range args {
		nv[i].Value = a
	}
	return nv
}

// room is for the arguments of the next call.
func (c *conn) room(n int) []driver.NamedValue {
	for len(c.args) < n {
		c.args = append(c.args, driver.NamedValue{Ordinal: len(c.args) + 1})
	}
	return c.args[:n]
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	clear(c.stmts)
	return errors.Join(append(errs, c.dc.Close())...)
}

// text gives an empty string as NULL, which is cheaper to bind and to keep.
func text(s string) driver.Value {
	if s == "" {
		return nil
	}
	return s
}

func placeholders(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

// script runs several statements, kept by nobody.
func (c *conn) script(ctx context.Context, sql string) (err error) {
	s, err := c.once(sql)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	_, err = s.(driver.StmtExecContext).ExecContext(ctx, nil)
	return err
}
