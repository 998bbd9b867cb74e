package journal

import (
	"time"

	"github.com/rs/zerolog"
)

// Options configure a Journal. Only Dir is needed.
type Options struct {
	// Dir holds the files; created, readable by its owner only, if missing.
	Dir string
	// Retention is the age at which events are removed; 0 keeps them forever.
	Retention time.Duration
	// MaxBytes bounds the size of the database; 0 doesn't. Its log of recent
	// changes takes up to 16 MiB more. The oldest events go first, and unread
	// ones too if nothing else is left to remove.
	MaxBytes int64
	// QueueSize is how many appends may wait before ErrOverloaded, default
	// 4096: some 50 ms of work, far less than Kazoo would wait.
	QueueSize int
	// QueueBytes is how many bytes of bodies may wait, default 32 MiB.
	QueueBytes int64
	// RecoverySlack widens the time of a recovered firing when an event
	// already held is looked for, default 5 s: Kazoo's clock against ours plus
	// the second its times are rounded to.
	RecoverySlack time.Duration
	// MaintainEvery is how often retention is looked at, default 1 minute.
	MaintainEvery time.Duration
	// Log receives what an operator should know; the zero value is silent.
	Log zerolog.Logger
	// Now is the clock, default time.Now.
	Now func() time.Time
	// Observe is told of every append and commit.
	Observe Observe

	// fault is asked before every statement; for tests.
	fault func(sql string) error
	// span and mergeAt override maxSpan and mergeAt; for tests.
	span    int64
	mergeAt int
}

// Observe are callbacks for metrics. Each may be nil; they are called from hot
// paths and must not block.
type Observe struct {
	// Append is told how long an append took from call to return.
	Append func(took time.Duration)
	// Commit is told how long a transaction's commit (with its sync) took and
	// how many new events it held.
	Commit func(took time.Duration, events int)
}

const (
	defaultQueueSize     = 4096
	defaultQueueBytes    = 32 << 20
	defaultRecoverySlack = 5 * time.Second
	defaultMaintainEvery = time.Minute
)

func (o Options) withDefaults() Options {
	if o.QueueSize <= 0 {
		o.QueueSize = defaultQueueSize
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = defaultQueueBytes
	}
	if o.RecoverySlack <= 0 {
		o.RecoverySlack = defaultRecoverySlack
	}
	if o.MaintainEvery <= 0 {
		o.MaintainEvery = defaultMaintainEvery
	}
	if o.mergeAt <= 0 {
		o.mergeAt = mergeAt
	}
	if o.span <= 0 {
		o.span = maxSpan
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func (o Observe) appended(took time.Duration) {
	if o.Append != nil {
		o.Append(took)
	}
}

func (o Observe) committed(took time.Duration, events int) {
	if o.Commit != nil {
		o.Commit(took, events)
	}
}
