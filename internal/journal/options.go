package journal

import (
	"cmp"
	"context"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
)

// Options configure a Journal. Only Dir is needed.
type Options struct {
	// Dir holds the files. If missing, it is created, readable by its owner only.
	Dir string
	// Retention is the age at which events are removed; 0 keeps them forever.
	Retention time.Duration
	// MaxBytes limits the size of the database; 0 is no limit. SQLite's log beside it
	// takes up to 16 MiB more. The oldest events are removed first, unread ones only
	// if nothing else is left to remove.
	MaxBytes int64
	// BacklogBytes and BacklogAge limit what is kept only for destinations, after
	// Retention or MaxBytes would have removed it. MaxBytes doesn't count it. 0 is no
	// limit. Beyond a limit the oldest events are given up: see BacklogExceeded.
	BacklogBytes int64
	BacklogAge   time.Duration
	// QueueSize is how many appends may wait before ErrOverloaded, default
	// 4096: some 50 ms of work, far less than Kazoo would wait.
	QueueSize int
	// QueueBytes is how many bytes of bodies may wait, default 32 MiB.
	QueueBytes int64
	// MaintainEvery is how often retention runs, default 1 minute.
	MaintainEvery time.Duration
	// Import, if set, is called when the directory is claimed and holds no journal of
	// the current format. It may make one from older files there.
	Import func(ctx context.Context, dir string) error
	// Log receives what an operator should know; the zero value is silent.
	Log zerolog.Logger
	// Now is the clock, default time.Now. Where its times have a monotonic
	// reading, the journal's own clock follows that.
	Now func() time.Time
	// Observe is called for every append and commit.
	Observe Observe
	// Cluster makes the journal one of several that apply the same log; nil on a
	// single node.
	Cluster *Cluster

	// For tests: open opens a connection, applied is called with every command that is
	// on disk. noted gets what is written to the file newest, or nil when it was synced.
	open    func(path, options string, pragmas ...string) (*conn, error)
	applied func(command)
	noted   func([]byte)
	clusterSeams
}

// Observe are callbacks for metrics. Each may be nil; they are called from hot
// paths and must not block.
type Observe struct {
	// Append gets how long an append took from call to return.
	Append func(took time.Duration)
	// Commit gets how long a transaction's commit (with its sync) took and how
	// many new events it held.
	Commit func(took time.Duration, events int)
	// Event gets every new event once it is on disk, and whether another process of
	// the cluster took it. The record is valid only during the call.
	Event func(r *event.Record, elsewhere bool)
}

func (o Options) withDefaults() Options {
	o.QueueSize = cmp.Or(max(o.QueueSize, 0), 4096)
	o.QueueBytes = cmp.Or(max(o.QueueBytes, 0), 32<<20)
	o.MaintainEvery = cmp.Or(max(o.MaintainEvery, 0), time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.open == nil {
		o.open = database.Open
	}
	if o.Observe.Append == nil {
		o.Observe.Append = func(time.Duration) {}
	}
	if o.Observe.Commit == nil {
		o.Observe.Commit = func(time.Duration, int) {}
	}
	if o.Observe.Event == nil {
		o.Observe.Event = func(*event.Record, bool) {}
	}
	return o
}
