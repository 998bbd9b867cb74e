package tables

import (
	"context"
	"errors"
	"fmt"

	"kazoohook/internal/journal/database"
)

// ErrNewer says that a later version of the program wrote the files.
var ErrNewer = errors.New("journal written by a newer version")

// migrations returns the scripts that bring the schema from version i to i+1 (PRAGMA
// user_version). Add only at the end; never change a script that was released.
func migrations() []string {
	return []string{`
-- Texts that many events share, stored once: event names ('e'), accounts ('a')
-- and where requests came from ('o': hook, its id and account, method, content
-- type). Id 0 stands for the empty text and has no row.
CREATE TABLE names (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (kind, name));

-- What happened, in order. Numbers are dense, except where gaps says otherwise.
CREATE TABLE events (
	seq         INTEGER PRIMARY KEY,
	number      INTEGER NOT NULL, -- of the command that appended it
	clock       INTEGER NOT NULL, -- journal's clock, ns
	id          BLOB NOT NULL,    -- ULID; its time never decreases
	received    INTEGER NOT NULL, -- Unix ns, 0 unknown
	late        INTEGER NOT NULL, -- whether received differs from the time of the id: Row.late
	source      INTEGER NOT NULL,
	event       INTEGER NOT NULL, -- names
	account     INTEGER NOT NULL, -- names
	object_type TEXT,
	object_id   BLOB,             -- text, or the 16 bytes of 32 hex digits
	action      TEXT,
	origin      INTEGER NOT NULL, -- names
	remote      TEXT,
	firing      TEXT,             -- of a recovered event: first, last (Unix ns) and id
	rule        INTEGER NOT NULL,
	key         BLOB NOT NULL,
	problem     TEXT,
	signature   INTEGER NOT NULL,
	sum         INTEGER NOT NULL, -- CRC-32C of what routing can't find again
	known       TEXT,             -- JSON: what the snapshot knew of the object
	body        BLOB
);
CREATE INDEX events_account ON events (account, event, source);
CREATE INDEX events_event ON events (event, source);
CREATE INDEX events_object ON events (object_id, event, source) WHERE object_id IS NOT NULL;
CREATE INDEX events_content ON events (key) WHERE rule = 1 AND object_id IS NULL;
CREATE INDEX events_late ON events (late, received) WHERE late > 0;

-- Numbers that no event has: skipped when a journal was restored, or lost.
CREATE TABLE gaps (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, reason TEXT NOT NULL);

-- What is known of Kazoo's objects (package snapshot). Outlives the events.
CREATE TABLE objects (
	key         BLOB PRIMARY KEY,
	type        TEXT NOT NULL,
	id          TEXT NOT NULL,
	account     TEXT NOT NULL,
	name        TEXT NOT NULL,
	fields      TEXT,             -- JSON object
	state       INTEGER NOT NULL,
	first       INTEGER NOT NULL, last INTEGER NOT NULL, deleted_at INTEGER NOT NULL, -- Unix ns
	created_seq INTEGER NOT NULL, deleted_seq INTEGER NOT NULL,
	created     INTEGER NOT NULL, deleted INTEGER NOT NULL, -- journal's clock
	shown       INTEGER NOT NULL, seen INTEGER NOT NULL, -- likewise
	look        INTEGER NOT NULL,
	pass        INTEGER NOT NULL,
	touched     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX objects_alive ON objects (type, account, id, pass) WHERE state = 1;
CREATE INDEX objects_look ON objects (look) WHERE look > 0;

-- Stored requests whose 200 isn't known to have been written (package dedupe).
CREATE TABLE unanswered (
	key     BLOB NOT NULL,
	seq     INTEGER NOT NULL,
	number  INTEGER NOT NULL, -- of the command that last claimed it
	command INTEGER NOT NULL, -- id of that command: outcomes name it
	at      INTEGER NOT NULL, -- journal's clock
	failed  INTEGER NOT NULL, -- 1: its answer was not written
	PRIMARY KEY (key, seq)
) WITHOUT ROWID;

-- Firings of Kazoo's record of attempts that were recovered.
CREATE TABLE firings (hook_id TEXT NOT NULL, firing TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
	PRIMARY KEY (hook_id, firing)) WITHOUT ROWID;

CREATE TABLE consumers (name TEXT PRIMARY KEY, cursor INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- One row: the journal's name, and where its commands and its clock are where
-- the newest event doesn't say.
CREATE TABLE journal (
	id     INTEGER PRIMARY KEY CHECK (id = 1),
	name   TEXT NOT NULL,
	number INTEGER NOT NULL, -- last command applied
	clock  INTEGER NOT NULL, -- its time on the journal's clock
	wall   INTEGER NOT NULL, -- and by the wall clock, Unix ns
	boot   INTEGER NOT NULL, -- number of the command that opened it last
	last   INTEGER NOT NULL  -- newest event's number, also when retention removed it
);
`, deliveriesSchema, clusterSchema}
}

// Blank reports whether a database has nothing yet, neither a version of the schema nor
// a table: its creator died before Migrate.
func Blank(ctx context.Context, c *database.Conn) (bool, error) {
	var version, made int64
	_, err := c.Ints(ctx, "PRAGMA user_version", nil, &version)
	if err == nil {
		_, err = c.Ints(ctx, "SELECT count(*) FROM sqlite_schema", nil, &made)
	}
	return err == nil && version == 0 && made == 0, err
}

// Migrate brings the database to the newest schema, in one transaction.
func Migrate(ctx context.Context, c *database.Conn) error {
	var have int64
	if _, err := c.Ints(ctx, "PRAGMA user_version", nil, &have); err != nil {
		return err
	}
	steps := migrations()
	if have > int64(len(steps)) {
		return fmt.Errorf("%w: its schema is %d, this program knows up to %d; use the newer program", ErrNewer, have, len(steps))
	}
	if have == int64(len(steps)) {
		return nil
	}
	script := "BEGIN IMMEDIATE;"
	for _, s := range steps[have:] {
		script += s
	}
	script += fmt.Sprintf("PRAGMA user_version = %d; COMMIT;", len(steps))
	if err := c.Script(ctx, script); err != nil {
		_ = c.Script(ctx, "ROLLBACK")
		return fmt.Errorf("migrate from schema %d: %w", have, err)
	}
	return nil
}
