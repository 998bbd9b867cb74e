package event

import "time"

// SnapshotObject is what was last seen of one Kazoo object: enough to notice
// that it is gone and to name it to a person afterwards, because Kazoo's own
// deletion carries nothing but an id.
type SnapshotObject struct {
	Type      string            // Kazoo's document type: "user", "device", ...
	ID        string            // unique among all objects of its Type
	AccountID string            // the account it lives in
	Name      string            // for a person: "Ann Lee"; may be empty
	Fields    map[string]string // username, email, ...: what else identifies it
	FirstSeen time.Time         // UTC; kept by later upserts
	LastSeen  time.Time         // UTC
	GoneAt    time.Time         // UTC; zero while it lives
	Pass      int64             // number of the listing that saw it last
}
