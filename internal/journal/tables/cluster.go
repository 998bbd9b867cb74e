package tables

// ClusterSchema is the first version of the schema that has these tables.
const ClusterSchema = 3

// clusterSchema is what a journal knows of a cluster's log. On a single node these
// tables are empty, except for the one row of cluster and for tries. In cluster.chain
// the SHA-256 of the newest entry applied follows the hash; an earlier version writes
// the hash alone.
const clusterSchema = `
-- The node that took a request; '': a single one.
ALTER TABLE unanswered ADD COLUMN node TEXT NOT NULL DEFAULT '';

-- One row: the log, and where this journal is in it.
CREATE TABLE cluster (
	id       INTEGER PRIMARY KEY CHECK (id = 1),
	epoch    TEXT NOT NULL,    -- '': the journal follows no log
	base     INTEGER NOT NULL, -- number of the last command before the epoch
	position INTEGER NOT NULL, -- in the log, of the last entry applied
	term     INTEGER NOT NULL,
	leader   TEXT NOT NULL,    -- node
	boot     TEXT NOT NULL,    -- and process that was elected
	tick     INTEGER NOT NULL, -- journal's clock at the leader's last tick
	fold     INTEGER NOT NULL, -- version of the rules in effect
	chain    BLOB NOT NULL     -- hash of all commands and their results
);
INSERT INTO cluster VALUES (1, '', 0, 0, 0, '', '', 0, 0, zeroblob(32));

-- The processes whose commands were applied: a command that comes again is one
-- whose number is neither above the highest nor missing below it.
CREATE TABLE boots (
	node    TEXT NOT NULL,
	boot    TEXT NOT NULL,
	opened  INTEGER NOT NULL, -- number of the command that began it; 0: not applied yet
	highest INTEGER NOT NULL, -- of its commands' own numbers
	holes   BLOB NOT NULL,    -- ranges of own numbers that are missing
	PRIMARY KEY (node, boot)
) WITHOUT ROWID;

CREATE TABLE members (node TEXT PRIMARY KEY, id TEXT NOT NULL, removed INTEGER NOT NULL) WITHOUT ROWID;

-- Requests that may come again with the same X-Request-Id, by a trusted proxy. It
-- is filled on a single node, too.
CREATE TABLE tries (key BLOB NOT NULL, request_id TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
	PRIMARY KEY (key, request_id)) WITHOUT ROWID;
CREATE INDEX tries_seq ON tries (seq);

-- The chain's hash at one of 1,000 commands.
CREATE TABLE chain (number INTEGER PRIMARY KEY, hash BLOB NOT NULL);
`
