//go:build real

package delivery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kazoohook/internal/delivery/brokertest"
)

func postgresSettings(dsn, table string) Settings {
	return Settings{Type: TypePostgres, Timeout: time.Minute, Postgres: &PostgresSettings{DSN: dsn, Table: table}}
}

// TestPostgres inserts into a real PostgreSQL.
func TestPostgres(t *testing.T) {
	t.Parallel()
	db := brokertest.StartPostgres(t)
	const password = "correct horse/battery"
	db.Exec(`CREATE ROLE writer LOGIN PASSWORD '` + password + `';
		CREATE ROLE readonly LOGIN PASSWORD '` + password + `'; ALTER ROLE readonly SET default_transaction_read_only = on;
		CREATE SCHEMA "Über"; CREATE SCHEMA closed;
		CREATE TABLE writable (event_id text PRIMARY KEY, seq bigint, event text, account_id text, object_id text, at timestamptz, body jsonb, added timestamptz DEFAULT now());
		GRANT SELECT, INSERT ON writable TO writer;
		CREATE TABLE forbidden (LIKE writable INCLUDING ALL);
		CREATE TABLE narrow (event_id text PRIMARY KEY, body jsonb);
		CREATE TABLE twice (LIKE writable);
		CREATE TABLE numbers (event_id bigint PRIMARY KEY, seq bigint, event text, account_id text, object_id text, at timestamptz, body jsonb);
		CREATE TABLE more (LIKE writable INCLUDING ALL, tenant text NOT NULL);
		CREATE TABLE full_disk (LIKE writable INCLUDING ALL);
		CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
		CREATE TRIGGER full_disk BEFORE INSERT ON full_disk FOR EACH ROW EXECUTE FUNCTION full_disk();
		CREATE TABLE plain (LIKE writable INCLUDING ALL); ALTER TABLE plain ALTER body TYPE text, ALTER event_id TYPE varchar(40), ALTER seq TYPE integer;`)
	for name, test := range map[string]struct {
		dsn, table string
		want       outcome
		check      []string // of Check, before anything is sent
	}{
		"a new table":                {db.DSN(), "events", outcome{status: "1 row"}, nil},
		"a new table in a schema":    {db.DSN(), `Über.an "odd" name; DROP TABLE x`, outcome{status: "1 row"}, nil},
		"the default table":          {db.DSN(), "", outcome{status: "1 row"}, nil},
		"a table that is there":      {db.DSNFor("writer", password), "writable", outcome{status: "1 row"}, nil},
		"columns of other types":     {db.DSN(), "plain", outcome{status: "1 row"}, nil},
		"statements prepared":        {db.DSN() + "?default_query_exec_mode=cache_statement", "prepared", outcome{status: "1 row"}, nil},
		"no such schema":             {db.DSN(), "nowhere.events", outcome{err: []string{`the table "nowhere"."events" can't be created`, "schema", "nowhere"}, answered: true}, []string{`there is no schema "nowhere"`}},
		"no right to create":         {db.DSNFor("writer", password), "closed.events", outcome{err: []string{"lacks a right", "permission denied for schema closed"}, answered: true}, []string{"permission denied for schema closed"}},
		"no right to create here":    {db.DSNFor("writer", password), "mine", outcome{err: []string{`the user "writer" may not create it`, "CREATE TABLE"}, answered: true}, []string{`the user "writer" may not create it`}},
		"no right to write":          {db.DSNFor("writer", password), "forbidden", outcome{err: []string{`the user "writer" lacks a right`, "INSERT and SELECT"}, answered: true}, []string{`may not write to the table "forbidden"`}},
		"columns missing":            {db.DSN(), "narrow", outcome{err: []string{"wrong shape", "lacks seq, event, account_id, object_id, at;"}, answered: true}, []string{"wrong shape"}},
		"nothing unique":             {db.DSN(), "twice", outcome{err: []string{"wrong shape", "event_id is neither"}, answered: true}, []string{"wrong shape"}},
		"a column of the wrong type": {db.DSN(), "numbers", outcome{err: []string{"wrong shape", "event_id"}, answered: true}, nil},
		"a column of one's own":      {db.DSN(), "more", outcome{err: []string{"refused the row", "tenant"}, answered: true}, nil},
		"full disk":                  {db.DSN(), "full_disk", outcome{err: []string{"is out of a resource", "No space left on device"}}, nil},
		"read-only":                  {db.DSNFor("readonly", password), "writable", outcome{err: []string{"takes no writes"}}, []string{"takes no writes"}},
		"wrong password":             {db.DSNFor("writer", "wrong battery"), "writable", outcome{err: []string{`refused the login of the user "writer"`}}, []string{"refused the login"}},
		"no such user":               {db.DSNFor("nobody", password), "writable", outcome{err: []string{`refused the login of the user "nobody"`}}, []string{"refused the login"}},
		"no such database":           {strings.TrimSuffix(db.DSN(), "kazoo") + "nowhere", "writable", outcome{err: []string{`has no database "nowhere"`}}, []string{`has no database "nowhere"`}},
		"no TLS there":               {db.DSN() + "?sslmode=require", "writable", outcome{err: []string{"can't be reached", "refused TLS"}}, []string{"can't be reached"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := brokerSender(t, postgresSettings(test.dsn, test.table))
			checked(t, s, test.check...)
			for attempt := range 3 {
				test.want.check(t, s.Send(t.Context(), brokerMessage(fmt.Sprintf("%s-%d", name, attempt))))
			}
			if test.want.err == nil {
				outcome{status: "the row was there"}.check(t, s.Send(t.Context(), brokerMessage(name+"-0")))
				checked(t, s)
			}
		})
	}
}

// TestPostgresRow compares a row with its event, also if PostgreSQL can't hold the body
// as it is.
func TestPostgresRow(t *testing.T) {
	t.Parallel()
	db := brokertest.StartPostgres(t)
	s := brokerSender(t, postgresSettings(db.DSN(), ""))
	for name, test := range map[string]struct{ body, want string }{
		"JSON":                {`{"event": "user.deleted", "seq": 42}`, `{"seq": 42, "event": "user.deleted"}`},
		"text":                {"a user\nis \"gone\"", `"a user\nis \"gone\""`},
		"U+0000":              {`{"name": "a\u0000b"}`, `"{\"name\": \"a\\u0000b\"}"`},
		"a backslash, u0000":  {`{"name": "a\\u0000b"}`, `{"name": "a\\u0000b"}`},
		"half a pair":         {`{"name": "\ud800"}`, `"{\"name\": \"\\ud800\"}"`},
		"a long number":       {`{"n": 1e400000}`, `"{\"n\": 1e400000}"`},
		"a zero byte in text": {"a\x00b", `"ab"`},
		"bytes of no text":    {"a\xffb", `"a` + "\ufffd" + `b"`},
	} {
		t.Run(name, func(t *testing.T) {
			m := brokerMessage(name)
			m.Body = []byte(test.body)
			outcome{status: "1 row"}.check(t, s.Send(t.Context(), m))
			if got := db.Texts(`SELECT body::text FROM kazoo_events WHERE event_id = '` + name + `'`); len(got) != 1 || got[0] != test.want {
				t.Errorf("the body is %.200q, want %.200q", got, test.want)
			}
		})
	}
	got := db.Texts(`SELECT concat_ws('|', event_id, seq, event, account_id, object_id, at AT TIME ZONE 'UTC') FROM kazoo_events WHERE event_id = 'JSON'`)
	if want := "JSON|42|user.deleted|c0ffee00aa11bb22cc33dd44ee55ff66|0b1ec7|2026-01-02 03:04:05.000006"; !slices.Equal(got, []string{want}) {
		t.Errorf("the row is %q, want %q", got, want)
	}
	m := brokerMessage("nothing known")
	m.Account, m.Object = "", ""
	outcome{status: "1 row"}.check(t, s.Send(t.Context(), m))
	if got := db.Texts(`SELECT event_id FROM kazoo_events WHERE account_id IS NULL AND object_id IS NULL`); !slices.Equal(got, []string{"nothing known"}) {
		t.Errorf("rows without account: %q", got)
	}

	// No more connections than the destination's concurrency, and no row twice.
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() { outcome{}.check(t, s.Send(t.Context(), brokerMessage(fmt.Sprintf("many-%d", i%100)))) })
	}
	wg.Wait()
	if got := db.Texts(`SELECT count(*)::text FROM kazoo_events WHERE event_id LIKE 'many-%'`); !slices.Equal(got, []string{"100"}) {
		t.Errorf("%q rows of 100 events", got)
	}
	if got := db.Texts(`SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'kazoohook billing'`); !slices.Contains([]string{"1", "2", "3", "4"}, got[0]) {
		t.Errorf("%q connections, at most 4", got)
	}
}

// TestPostgresRestart stops the server between attempts and during them, drops the
// table, and makes an attempt wait for a lock.
func TestPostgresRestart(t *testing.T) {
	t.Parallel()
	db := brokertest.StartPostgres(t)
	s := brokerSender(t, postgresSettings(db.DSN(), ""))
	outcome{status: "1 row"}.check(t, s.Send(t.Context(), brokerMessage("before")))
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	confirmed := []string{"before", "after"}
	begun := make(chan struct{}, 4)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if id := fmt.Sprintf("load-%d-%d", worker, i); s.Send(t.Context(), brokerMessage(id)).Err == nil {
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
	db.Stop()
	cancel()
	wg.Wait()
	untilRefused(t, func() Result { return s.Send(t.Context(), brokerMessage("down")) })
	checked(t, s, "can't be reached", "refused")
	db.Start()
	until(t, s, "after")
	rows := db.Texts(`SELECT event_id FROM kazoo_events`)
	for _, id := range confirmed {
		if !slices.Contains(rows, id) {
			t.Errorf("%s was confirmed and is not in the table", id)
		}
	}

	db.Exec(`DROP TABLE kazoo_events`)
	outcome{err: []string{"is not there any more", "does not exist"}, answered: true}.check(t, s.Send(t.Context(), brokerMessage("dropped")))
	outcome{status: "1 row"}.check(t, s.Send(t.Context(), brokerMessage("dropped")))

	release := db.Lock("kazoo_events")
	settings := postgresSettings(db.DSN(), "")
	settings.Timeout = 2 * time.Second
	outcome{err: []string{"gave no answer within 2s"}}.check(t, brokerSender(t, settings).Send(t.Context(), brokerMessage("locked")))
	release()
	until(t, s, "locked")
}
