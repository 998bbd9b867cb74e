package tables

// DestinationsSchema is the first version of the schema that has these tables.
const DestinationsSchema = 2

// deliveriesSchema are the tables of onward delivery.
const deliveriesSchema = `
-- Where events are delivered onward. Changed by commands only.
CREATE TABLE destinations (
	name     TEXT PRIMARY KEY,
	cursor   INTEGER NOT NULL, -- last event whose filters were evaluated
	paused   INTEGER NOT NULL, -- Pause
	since    INTEGER NOT NULL, -- when it was paused or resumed, Unix ns
	seen     INTEGER NOT NULL, -- when it was first configured, Unix ns
	removed  INTEGER NOT NULL, -- when it was no longer configured, Unix ns; 0: it is
	accepted INTEGER NOT NULL, -- deliveries that succeeded
	at       INTEGER NOT NULL, -- of the last attempt, Unix ns
	status   TEXT,             -- its answer
	excerpt  TEXT,
	error    TEXT              -- of the last attempt; NULL: it succeeded
) WITHOUT ROWID;

-- Deliveries that are neither delivered nor behind a cursor.
CREATE TABLE deliveries (
	seq         INTEGER NOT NULL,
	destination TEXT NOT NULL,
	state       INTEGER NOT NULL, -- DeliveryState
	redelivered INTEGER NOT NULL,
	id          BLOB NOT NULL,    -- of the event
	event       TEXT NOT NULL,
	key         TEXT NOT NULL,    -- ordering key
	attempts    INTEGER NOT NULL, -- that count, since the last redelivery
	base        INTEGER NOT NULL, -- destinations.accepted when the first of them began
	due         INTEGER NOT NULL, -- Unix ns; 0: at once
	wait        INTEGER NOT NULL, -- ns from the last attempt to due
	at          INTEGER NOT NULL, -- of the last attempt, or when it became dead, Unix ns; 0: none
	no_body     INTEGER NOT NULL, -- 1: its event is no longer kept
	error       TEXT,
	PRIMARY KEY (seq, destination)
) WITHOUT ROWID;
CREATE INDEX deliveries_state ON deliveries (destination, state, redelivered, seq);

-- Attempts, for those who look into an event; of each delivery the newest 50.
CREATE TABLE attempts (
	seq         INTEGER NOT NULL,
	destination TEXT NOT NULL,
	n           INTEGER NOT NULL,
	at          INTEGER NOT NULL, -- Unix ns
	took        INTEGER NOT NULL, -- ns
	status      TEXT,
	error       TEXT,             -- NULL: it succeeded
	PRIMARY KEY (seq, destination, n)
) WITHOUT ROWID;

-- Events that retention removed and a destination still needs: columns as in events.
CREATE TABLE backlog AS SELECT * FROM events WHERE 0;
CREATE UNIQUE INDEX backlog_seq ON backlog (seq);
CREATE TABLE backlog_size (id INTEGER PRIMARY KEY CHECK (id = 1), events INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO backlog_size VALUES (1, 0, 0);
CREATE TRIGGER backlog_grows AFTER INSERT ON backlog BEGIN
	UPDATE backlog_size SET events = events + 1, bytes = bytes + ifnull(length(new.body), 0) + 500;
END;
CREATE TRIGGER backlog_shrinks AFTER DELETE ON backlog BEGIN
	UPDATE backlog_size SET events = events - 1, bytes = bytes - ifnull(length(old.body), 0) - 500;
	DELETE FROM attempts WHERE seq = old.seq;
END;
CREATE TRIGGER delivery_ends AFTER DELETE ON deliveries BEGIN
	DELETE FROM backlog WHERE seq = old.seq AND NOT EXISTS (SELECT 1 FROM deliveries WHERE seq = old.seq);
END;

-- Where accounts are in Kazoo's tree. Outlives the accounts.
CREATE TABLE accounts (account TEXT PRIMARY KEY, ancestors TEXT NOT NULL) WITHOUT ROWID;
`
