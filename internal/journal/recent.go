package journal

import "kazoohook/internal/event"

// recent are the newest events, contiguous, in memory: a reader that keeps up
// never touches the database.
type recent struct {
	recs  []event.Record
	head  int // where the oldest kept one is
	bytes int // of bodies
}

const (
	recentMax      = 1024
	recentMaxBytes = 4 << 20
)

func (r *recent) push(rec event.Record) {
	r.recs = append(r.recs, rec)
	r.bytes += len(rec.Body)
	for len(r.recs)-r.head > recentMax || r.bytes > recentMaxBytes {
		r.bytes -= len(r.recs[r.head].Body)
		r.recs[r.head] = event.Record{}
		r.head++
	}
	if r.head >= recentMax/2 {
		n := copy(r.recs, r.recs[r.head:])
		clear(r.recs[n:])
		r.recs, r.head = r.recs[:n], 0
	}
}

// after returns up to limit events after seq; known is false if they, or the
// first of them, are no longer kept.
func (r *recent) after(seq int64, limit int) (recs []event.Record, known bool) {
	kept := r.recs[r.head:]
	if len(kept) == 0 || seq+1 < kept[0].Seq {
		return nil, false
	}
	kept = kept[min(seq+1-kept[0].Seq, int64(len(kept))):]
	kept = kept[:min(limit, len(kept))]
	return append([]event.Record(nil), kept...), true
}
