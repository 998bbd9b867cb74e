package journal

import (
	"context"

	"kazoohook/internal/event"
)

// Stats are figures of a journal since it was opened, and its state.
type Stats struct {
	Bytes        int64 // of all its files on disk
	First, Last  int64 // numbers of the oldest and newest event, 0 if none
	Queued       int   // appends waiting
	Appends      int64 // new events stored
	Transactions int64 // each with one sync of the log
	Duplicates   map[event.Rule]int64
	Pruned       int64  // events removed by retention
	PrunedUnread int64  // of those, not yet read by some consumer
	Unindexed    int64  // events that are found in memory, not through the index
	LastError    string // of the last failure to write, also if it has passed
}

// Stats returns the figures; it reads no more than file sizes.
func (j *Journal) Stats(ctx context.Context) (Stats, error) {
	first, err := j.First(ctx)
	if err != nil {
		return Stats{}, err
	}
	j.tail.mu.RLock()
	last, indexed := j.tail.last, j.tail.indexed
	j.tail.mu.RUnlock()
	queued, _ := j.queue.waiting()
	s := Stats{
		Bytes: fileSize(j.path) + fileSize(j.path+"-wal"),
		First: first, Last: last, Queued: queued,
		Appends: j.counters.appends.Load(), Transactions: j.counters.transactions.Load(),
		Duplicates: map[event.Rule]int64{},
		Pruned:     j.counters.pruned.Load(), PrunedUnread: j.counters.prunedUnread.Load(),
		Unindexed: last - indexed,
	}
	for r := range ruleCount {
		s.Duplicates[event.Rule(r)] = j.counters.duplicates[r].Load()
	}
	if f := j.counters.lastError.Load(); f != nil {
		s.LastError = f.err.Error()
	}
	return s, nil
}
