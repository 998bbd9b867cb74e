package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
)

func open(t *testing.T, path, options string) *Conn {
	t.Helper()
	c, err := Open(path, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestReasons(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 99)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path, first, second, want string
		damage, sqlite            bool
	}{
		"read-only":    {"a.db", "CREATE TABLE a (b); PRAGMA query_only=1", "INSERT INTO a VALUES (1)", "no permission to write in", false, true},
		"full":         {"b.db", "CREATE TABLE a (b); PRAGMA max_page_count=2", "INSERT INTO a VALUES (zeroblob(99999))", "no space left on device in", false, true},
		"syntax error": {"c.db", "SELECT 1", "no statement", "cannot use the journal in", false, true},
		"text":         {"text", "", "SELECT * FROM sqlite_schema", "damaged database in", true, true},
	} {
		c1 := open(t, filepath.Join(dir, c.path), "")
		err := c1.Script(t.Context(), c.first)
		if err == nil {
			err = c1.Exec(c.second)
		}
		var se *sqlite.Error
		if errors.As(err, &se) != c.sqlite || IsSQLite(err) != c.sqlite || IsDamage(err) != c.damage || Reason(err) != c.want {
			t.Errorf("%s: %v is %q", name, err, Reason(err))
		}
	}
	locked := filepath.Join(dir, "locked.db")
	a, b := open(t, locked, ""), open(t, locked, "")
	if err := a.Script(t.Context(), "CREATE TABLE a (b); BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	if err := b.Script(t.Context(), "PRAGMA busy_timeout=1"); err != nil {
		t.Fatal(err)
	}
	if err := b.Transaction(func() error { return nil }); Reason(err) != "database locked by another program in" {
		t.Errorf("locked: %v is %q", err, Reason(err))
	}
	if err := error(Damaged("it is odd")); IsSQLite(err) || !IsDamage(fmt.Errorf("read: %w", err)) || IsDamage(nil) {
		t.Errorf("%v is no damage", err)
	}
}

// Any number of rows can be inserted, and they are there in their order.
func TestInsert(t *testing.T) {
	t.Parallel()
	c := open(t, filepath.Join(t.TempDir(), "x.db"), "")
	if err := c.Script(t.Context(), "CREATE TABLE a (n, s, b)"); err != nil {
		t.Fatal(err)
	}
	in := NewInserter("INSERT INTO a", "n,s,b")
	for _, n := range []int{0, 1, 3, 4, 21, 40} {
		if err := c.Exec("DELETE FROM a"); err != nil {
			t.Fatal(err)
		}
		err := in.Insert(c, n, func(i int, v []any) []any { return append(v, int64(i), fmt.Sprint("s", i), []byte{byte(i)}) })
		if err != nil {
			t.Fatal(err)
		}
		i := 0
		err = c.Rows(t.Context(), "SELECT n, s, b, NULL FROM a ORDER BY rowid", nil, func(r Row) error {
			if r.Int(0) != int64(i) || r.Text(1) != fmt.Sprint("s", i) || !slices.Equal(r.Blob(2), []byte{byte(i)}) || r.Int(3) != 0 || r.Text(3) != "" {
				t.Errorf("row %d of %d is %v", i, n, r)
			}
			i++
			return nil
		})
		if err != nil || i != n {
			t.Errorf("%d rows of %d, %v", i, n, err)
		}
	}
	if changed, err := c.Change("UPDATE a SET n = 0 WHERE n > ?", int64(30)); changed != 9 || err != nil {
		t.Errorf("%d changed, %v", changed, err)
	}
	if err := c.Exec("DROP TABLE a"); err != nil {
		t.Fatal(err)
	}
	if err := in.Insert(c, 1, func(_ int, v []any) []any { return append(v, nil, nil, nil) }); err == nil {
		t.Error("inserted into nothing")
	}
}

// A transaction that fails leaves nothing, and every statement can fail.
func TestTransaction(t *testing.T) {
	t.Parallel()
	odd := errors.New("odd")
	for _, failing := range []string{"BEGIN", "INSERT", "COMMIT", "SELECT", "none"} {
		c := open(t, filepath.Join(t.TempDir(), "x.db"), "")
		if err := c.Script(t.Context(), "CREATE TABLE a (n)"); err != nil {
			t.Fatal(err)
		}
		c.Fault = func(sql string) error {
			if strings.HasPrefix(sql, failing) {
				return odd
			}
			return nil
		}
		err := c.Transaction(func() error {
			var n int64
			found, err := c.Ints(t.Context(), "SELECT count(*) FROM a", nil, &n)
			if err == nil && (!found || n != 0) {
				t.Errorf("%s: %v, %d", failing, found, n)
			}
			return errors.Join(err, c.Exec("INSERT INTO a VALUES (1)"))
		})
		c.Fault = nil
		var n int64
		if _, serr := c.Ints(t.Context(), "SELECT count(*) FROM a", nil, &n); serr != nil || (n == 1) != (err == nil) || errors.Is(err, odd) == (failing == "none") {
			t.Errorf("%s: %d rows, %v, %v", failing, n, err, serr)
		}
		c.Fault = func(string) error { return odd }
		each := func(Row) error { return nil }
		for what, err := range map[string]error{
			"script": c.Script(t.Context(), "SELECT 1"), "once": c.Once(t.Context(), "SELECT 1", nil, each),
			"rows": c.Rows(t.Context(), "SELECT 2", nil, each),
		} {
			if !errors.Is(err, odd) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

func TestRowsFail(t *testing.T) {
	t.Parallel()
	c := open(t, filepath.Join(t.TempDir(), "x.db"), "")
	odd := errors.New("odd")
	if err := c.Once(t.Context(), "SELECT 1", nil, func(Row) error { return odd }); !errors.Is(err, odd) {
		t.Errorf("each fails: %v", err)
	}
	n := 0
	if err := c.Once(t.Context(), "VALUES (1),(2),(3)", nil, func(Row) error { n++; return ErrStop }); err != nil || n != 1 {
		t.Errorf("stopped after %d: %v", n, err)
	}
	if err := c.Once(t.Context(), "SELECT abs(-9223372036854775808)", nil, func(Row) error { return nil }); err == nil {
		t.Error("no overflow")
	}
	if err := c.Once(t.Context(), "SELECT ?", nil, func(Row) error { return nil }); err == nil {
		t.Error("a parameter without a value")
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none", "x.db"), "&mode=ro", "user_version(1)"); err == nil {
		t.Error("opened what isn't there")
	}
}

func TestCopyTo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := open(t, filepath.Join(dir, "x.db"), "")
	if err := c.Script(t.Context(), "CREATE TABLE a (n); INSERT INTO a VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "copy of x.db")
	if err := c.CopyTo(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	var n int64
	if _, err := open(t, to, ReadOnly(to)).Ints(t.Context(), "SELECT n FROM a", nil, &n); err != nil || n != 7 {
		t.Errorf("%d, %v", n, err)
	}
	if err := c.CopyTo(t.Context(), filepath.Join(dir, "none", "x.db")); err == nil {
		t.Error("copied into nothing")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.CopyTo(ctx, to); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if unix.Geteuid() == 0 {
		if err := os.WriteFile(to+"-wal", []byte("x"), 0o600); err != nil || ReadOnly(to) != "&mode=ro" {
			t.Errorf("%q, %v", ReadOnly(to), err)
		}
	}
}

// The pool lends a limited number of connections. Close ends the wait for one.
func TestPool(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	opened := 0
	p := NewPool(func() (*Conn, error) { opened++; return Open(path, "") })
	use := func(f func(c *Conn) error) error { return p.Use(t.Context(), f) }
	for range 5 {
		if err := use(func(c *Conn) error { return c.Script(t.Context(), "SELECT 1") }); err != nil {
			t.Fatal(err)
		}
	}
	if opened != 1 {
		t.Errorf("%d opened for one at a time", opened)
	}
	// A connection that failed is not lent again.
	if err := use(func(c *Conn) error { return c.Exec("odd") }); err == nil || opened != 1 {
		t.Errorf("%v, %d", err, opened)
	}
	hold, held, done := make(chan struct{}), make(chan struct{}), make(chan error, maxReaders)
	for range maxReaders {
		go func() { done <- use(func(*Conn) error { held <- struct{}{}; <-hold; return nil }) }()
		<-held
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Use(ctx, func(*Conn) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("more connections than there are: %v", err)
	}
	waiting := make(chan error)
	go func() { waiting <- use(func(*Conn) error { return nil }) }()
	closed := make(chan error)
	go func() { closed <- p.Close() }()
	if err := <-waiting; !errors.Is(err, ErrClosed) {
		t.Errorf("waits while it closes: %v", err)
	}
	close(hold)
	for range maxReaders {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(<-closed, p.Close()); err != nil {
		t.Error(err)
	}
	if err := use(func(*Conn) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if opened != maxReaders+1 {
		t.Errorf("%d opened", opened)
	}
	p = NewPool(func() (*Conn, error) { return nil, ErrInUse })
	if err := p.Use(t.Context(), func(*Conn) error { return nil }); !errors.Is(err, ErrInUse) {
		t.Errorf("can't be opened: %v", err)
	}
}
