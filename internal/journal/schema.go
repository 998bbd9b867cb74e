package journal

import (
	"context"
	"fmt"
)

// migrations bring the schema from version i to i+1 (PRAGMA user_version). Add
// to the end; never change one that was released.
func migrations() []string {
	return []string{`
-- What happened. Only ever appended to at the end and cut at the beginning, so
-- that an append touches one page. Everything else an event is found or judged
-- by follows from it and is brought up to date later (meta 'indexed').
CREATE TABLE events (
	seq          INTEGER PRIMARY KEY,
	id           BLOB NOT NULL,    -- ULID of the append: its time never decreases
	received     INTEGER NOT NULL, -- Unix nanoseconds, 0 unknown
	source       TEXT,
	event        TEXT,
	account      TEXT,
	object_type  TEXT,
	object_id    TEXT,
	action       TEXT,
	hook         TEXT,
	hook_id      TEXT,
	hook_account TEXT,
	method       TEXT,
	content_type TEXT,
	remote       TEXT,
	firing       TEXT,             -- of a recovered event: first, last (Unix ns) and id
	rule         INTEGER NOT NULL,
	key          BLOB NOT NULL,
	problem      TEXT,
	body         BLOB,
	unacked      BLOB              -- last row of a transaction: see unacked.go
);

-- Where to look: by hash of account and name in blocks of 64, by object and key
-- exactly (hash.go).
CREATE TABLE idx (h INTEGER NOT NULL, pos INTEGER NOT NULL, PRIMARY KEY (h, pos)) WITHOUT ROWID;
-- Events whose received time isn't that of the append (recovered ones).
CREATE TABLE late (received INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (received, seq)) WITHOUT ROWID;
-- Distinct accounts ('a') and event names ('e'), for wildcards.
CREATE TABLE names (kind TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;

-- What is known of an object's creation and deletion (lifecycle.go). Outlives
-- the events.
CREATE TABLE lifecycle (
	key         BLOB PRIMARY KEY,
	seq         INTEGER NOT NULL, -- last event applied
	state       INTEGER NOT NULL,
	created     INTEGER NOT NULL, created_seq INTEGER NOT NULL,
	deleted     INTEGER NOT NULL, deleted_seq INTEGER NOT NULL,
	late        INTEGER NOT NULL,
	revived     INTEGER NOT NULL,
	touched     INTEGER NOT NULL  -- Unix ns, for expiry
) WITHOUT ROWID;

-- Firings of Kazoo's record of attempts that were recovered.
CREATE TABLE firings (hook_id TEXT NOT NULL, firing TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
	PRIMARY KEY (hook_id, firing)) WITHOUT ROWID;

CREATE TABLE consumers (name TEXT PRIMARY KEY, cursor INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL, data BLOB) WITHOUT ROWID;

-- Kazoo's objects as last seen.
CREATE TABLE objects (
	type    TEXT NOT NULL,
	id      TEXT NOT NULL,
	account TEXT NOT NULL,
	name    TEXT NOT NULL,
	fields  TEXT NOT NULL, -- JSON object
	first   INTEGER NOT NULL,
	last    INTEGER NOT NULL,
	gone    INTEGER NOT NULL, -- Unix ns, 0 while it lives
	pass    INTEGER NOT NULL,
	PRIMARY KEY (type, id)
) WITHOUT ROWID;
CREATE INDEX objects_living ON objects (type, account, id, pass) WHERE gone = 0;
`}
}

// migrate brings the database to the newest schema, in one transaction.
func migrate(ctx context.Context, c *conn) error {
	var have int64
	if _, err := c.ints(ctx, "PRAGMA user_version", nil, &have); err != nil {
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
	if err := c.script(ctx, script); err != nil {
		_ = c.script(ctx, "ROLLBACK")
		return fmt.Errorf("migrate from schema %d: %w", have, err)
	}
	return nil
}
