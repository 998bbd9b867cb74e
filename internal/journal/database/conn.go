package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"modernc.org/sqlite"
)

// Conn is one connection with its prepared statements, used by one goroutine at a
// time.
type Conn struct {
	// Fault, if set, may fail a statement before it runs; for tests.
	Fault func(sql string) error

	dc    driver.Conn
	stmts map[string]driver.Stmt
	args  []driver.NamedValue // of the current call; the driver doesn't keep them
}

// ErrStop ends a query early, without an error, if the function for the rows returns it.
var ErrStop = errors.New("stop")

// Row is one row of a query. It is valid only during the call that gets it. NULL, or
// a value of another type, reads as zero.
type Row []driver.Value

// Int returns an integer column, counted from 0.
func (r Row) Int(i int) int64 { v, _ := r[i].(int64); return v }

// Text returns a text column.
func (r Row) Text(i int) string { v, _ := r[i].(string); return v }

// Blob returns a blob column.
func (r Row) Blob(i int) []byte { v, _ := r[i].([]byte); return v }

// Open opens the file path. options are added to its URI, e.g. "&mode=ro"; a pragma
// is written like "synchronous(full)".
func Open(path, options string, pragmas ...string) (*Conn, error) {
	if err := Orphaned(path); err != nil {
		return nil, err
	}
	q := url.Values{"_pragma": append([]string{"busy_timeout(5000)"}, pragmas...)}
	dc, err := new(sqlite.Driver).Open("file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode() + options)
	if err != nil {
		return nil, err
	}
	return &Conn{dc: dc, stmts: map[string]driver.Stmt{}}, nil
}

// Beside returns what SQLite adds to a database's name for the files that it keeps
// beside it. It takes changes from them, also if they belong to another database.
func Beside() []string { return []string{"-wal", "-shm", "-journal"} }

// Orphaned returns an error if the newest changes of the database path are there, but
// the database is missing or empty: SQLite would delete them.
func Orphaned(path string) error {
	log, lerr := os.Stat(path + "-wal")
	st, err := os.Stat(path)
	gone := errors.Is(err, os.ErrNotExist) || err == nil && st.Size() == 0
	if lerr != nil || log.Size() == 0 || !gone {
		return nil
	}
	return fmt.Errorf("%[1]s-wal holds the newest changes of %[1]s, which is missing or empty: put %[1]s back, or restore a backup; without either, move %[1]s-wal away to begin anew", path)
}

// Remove removes a database and what is beside it.
func Remove(path string) (err error) {
	for _, suffix := range append(Beside(), "") {
		if rerr := os.Remove(path + suffix); !errors.Is(rerr, os.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	return err
}

// ReadOnly returns the options for Open to read path without changing anything there.
// A database without a -wal file is opened as immutable: otherwise SQLite would create
// that file.
func ReadOnly(path string) string {
	if st, err := os.Stat(path + "-wal"); err != nil || st.Size() == 0 {
		return "&immutable=1"
	}
	return "&mode=ro"
}

// Close closes the connection and its statements.
func (c *Conn) Close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	clear(c.stmts)
	return errors.Join(append(errs, c.dc.Close())...)
}

// prepare returns a statement that is kept.
func (c *Conn) prepare(sql string) (driver.Stmt, error) {
	if s, ok := c.stmts[sql]; ok {
		return s, c.broken(sql)
	}
	s, err := c.once(sql)
	if err == nil {
		c.stmts[sql] = s
	}
	return s, err
}

// once returns a statement that the caller closes.
func (c *Conn) once(sql string) (driver.Stmt, error) {
	if err := c.broken(sql); err != nil {
		return nil, err
	}
	s, err := c.dc.Prepare(sql)
	if err != nil {
		return nil, fmt.Errorf("%w in %.60q", err, sql)
	}
	return s, nil
}

func (c *Conn) broken(sql string) error {
	if c.Fault == nil {
		return nil
	}
	return c.Fault(sql)
}

// Exec runs a statement that is prepared once and kept.
func (c *Conn) Exec(sql string, args ...any) error {
	_, err := c.Change(sql, args...)
	return err
}

// Change is Exec, and returns how many rows were changed.
func (c *Conn) Change(sql string, args ...any) (rows int64, err error) {
	s, err := c.prepare(sql)
	if err != nil {
		return 0, err
	}
	res, err := s.(driver.StmtExecContext).ExecContext(context.Background(), c.named(args))
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Script runs several statements once, without keeping them.
func (c *Conn) Script(ctx context.Context, sql string) (err error) {
	s, err := c.once(sql)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	_, err = s.(driver.StmtExecContext).ExecContext(ctx, nil)
	return err
}

// Rows calls each for every row of a query that is prepared once and kept.
func (c *Conn) Rows(ctx context.Context, sql string, args []any, each func(Row) error) error {
	s, err := c.prepare(sql)
	if err != nil {
		return err
	}
	return c.scan(ctx, s, args, each)
}

// Once is Rows for a query that is not worth keeping.
func (c *Conn) Once(ctx context.Context, sql string, args []any, each func(Row) error) (err error) {
	s, err := c.once(sql)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return c.scan(ctx, s, args, each)
}

// Ints reads the integers of the first row; found is false when there is none.
func (c *Conn) Ints(ctx context.Context, sql string, args []any, into ...*int64) (found bool, err error) {
	err = c.Rows(ctx, sql, args, func(r Row) error {
		found = true
		for i, p := range into {
			*p = r.Int(i)
		}
		return ErrStop
	})
	return found, err
}

func (c *Conn) scan(ctx context.Context, s driver.Stmt, args []any, each func(Row) error) (err error) {
	rows, err := s.(driver.StmtQueryContext).QueryContext(ctx, c.named(args))
	if err != nil {
		return err
	}
	defer func() {
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
	}()
	for row := make(Row, len(rows.Columns())); ; {
		if err = rows.Next(row); err == nil {
			err = each(row)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, ErrStop):
			return nil
		case err != nil:
			return err
		}
	}
}

// named numbers the arguments.
func (c *Conn) named(args []any) []driver.NamedValue {
	for len(c.args) < len(args) {
		c.args = append(c.args, driver.NamedValue{Ordinal: len(c.args) + 1})
	}
	for i, a := range args {
		c.args[i].Value = a
	}
	return c.args[:len(args)]
}

// Transaction runs f in a transaction, which takes the write lock at once. After an
// error nothing is changed.
func (c *Conn) Transaction(f func() error) error {
	err := c.Exec("BEGIN IMMEDIATE")
	if err != nil {
		return err
	}
	if err = f(); err == nil {
		err = c.Exec("COMMIT")
	}
	if err != nil {
		_ = c.Exec("ROLLBACK") // SQLite may have done it by itself
	}
	return err
}

// CopyTo copies the whole database to the file to, page by page, within one read
// transaction.
func (c *Conn) CopyTo(ctx context.Context, to string) error {
	const pages = 1000 // per step: ctx is checked in between
	source, ok := c.dc.(interface {
		NewBackup(uri string) (*sqlite.Backup, error)
	})
	if !ok {
		return errors.New("the database driver can't copy a database that is in use")
	}
	copied, err := source.NewBackup("file:" + (&url.URL{Path: to}).EscapedPath() + "?_pragma=synchronous(off)&_pragma=journal_mode(off)")
	if err != nil {
		return err
	}
	for more := true; more && err == nil; {
		if err = ctx.Err(); err == nil {
			more, err = copied.Step(pages)
		}
	}
	return errors.Join(err, copied.Finish())
}

// Marks returns n placeholders for values: "?,?,?".
func Marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

// Size returns the size of the database in bytes, and how much of it is free pages.
func (c *Conn) Size(ctx context.Context) (size, free int64, err error) {
	_, err = c.Ints(ctx, "SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count", nil, &size, &free)
	return size * PageSize, free * PageSize, err
}

// Used returns the size of the database in bytes, without its free pages.
func (c *Conn) Used(ctx context.Context) (int64, error) {
	size, free, err := c.Size(ctx)
	return size - free, err
}

// FileSize returns the size of a file in bytes, 0 if there is none.
func FileSize(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}
