package integrity

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// ErrCorrupt says that the files are damaged; nothing was changed.
var ErrCorrupt = errors.New("journal damaged")

// Range is a range of event numbers, both ends included.
type Range struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// Damage is what is known to be wrong with the journal's files.
type Damage struct {
	Events   []Range  // that can't be read
	Lookups  int64    // look-ups that met damage: their object counted as unknown, or was found in another way
	Refused  int64    // requests that could not be stored because of damage
	LeftOut  int64    // other changes, and objects, that could not be stored because of damage
	Lost     int64    // at least so many acknowledged events were missing at the end when the journal was opened
	Findings []string // of the last Check
}

// Count is how many events can't be read.
func (d Damage) Count() (n int64) {
	for _, r := range d.Events {
		n += r.Last - r.First + 1
	}
	return n
}

// Err describes the damage in one sentence; nil if there is none.
func (d Damage) Err() error {
	switch n := d.Count(); {
	case d.Refused > 0:
		return fmt.Errorf("%w: %d requests could not be stored; kazoohook salvage copies what can be read", ErrCorrupt, d.Refused)
	case d.LeftOut > 0:
		return fmt.Errorf("%w: %d objects or other changes could not be stored; kazoohook salvage copies what can be read", ErrCorrupt, d.LeftOut)
	case n > 0:
		return fmt.Errorf("%w: %d events can't be read, the first is %d; kazoohook salvage copies what can", ErrCorrupt, n, d.Events[0].First)
	case len(d.Findings) > 0:
		return fmt.Errorf("%w: %s; kazoohook salvage copies what can be read", ErrCorrupt, d.Findings[0])
	case d.Lookups > 0:
		return fmt.Errorf("%w: what is known of objects or duplicates can't all be read; kazoohook salvage copies what can", ErrCorrupt)
	}
	return nil
}

// Ledger holds the damage found so far. Readers and the writer add to it.
type Ledger struct {
	log zerolog.Logger

	mu     sync.RWMutex
	damage Damage  // Events ascending, not adjacent
	gaps   []Range // likewise: numbers that no event has
	said   time.Time
	omits  time.Time // when a change that was left out was logged last

	unwritable map[[16]byte]bool // objects, by key
}

// NewLedger returns an empty Ledger, which logs what is found.
func NewLedger(log zerolog.Logger) *Ledger { return &Ledger{log: log, unwritable: map[[16]byte]bool{}} }

// Damage returns what is known to be wrong; the zero value means nothing is.
func (l *Ledger) Damage() Damage {
	l.mu.RLock()
	defer l.mu.RUnlock()
	d := l.damage
	d.Events, d.Findings = slices.Clone(d.Events), slices.Clone(d.Findings)
	return d
}

// Unreadable notes an event that can't be read.
func (l *Ledger) Unreadable(seq int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	bad := l.damage.Events
	i, in := find(bad, seq)
	if in {
		return
	}
	switch after, before := i < len(bad) && bad[i].First == seq+1, i > 0 && bad[i-1].Last == seq-1; {
	case after && before:
		bad[i-1].Last = bad[i].Last
		bad = slices.Delete(bad, i, i+1)
	case after:
		bad[i].First = seq
	case before:
		bad[i-1].Last = seq
	default:
		bad = slices.Insert(bad, i, Range{seq, seq})
	}
	l.damage.Events = bad
	if now := time.Now(); now.Sub(l.said) > time.Minute {
		l.said = now
		l.log.Error().Err(err).Int64("unreadable_seq", seq).
			Msg("journal is damaged: an event can't be read and is left out; stop the service and run kazoohook salvage")
	}
}

// Refused notes a request that could not be stored.
func (l *Ledger) Refused(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.damage.Refused++; l.damage.Refused == 1 {
		l.log.Error().Err(err).Msg("journal is damaged: a request could not be stored and is answered 503; stop the service and run kazoohook salvage")
	}
}

// LeftOut notes a change other than a request that could not be stored.
func (l *Ledger) LeftOut(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leftOut(what, err)
}

func (l *Ledger) leftOut(what string, err error) {
	l.damage.LeftOut++
	if now := time.Now(); now.Sub(l.omits) > time.Minute {
		l.omits = now
		l.log.Error().Err(err).Str("left_out", what).
			Msg("journal is damaged: a change could not be stored and is left out; stop the service and run kazoohook salvage")
	}
}

// Unwritable notes an object of which nothing can be stored. It counts once.
func (l *Ledger) Unwritable(key [16]byte, name string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.unwritable[key] {
		l.unwritable[key] = true
		l.leftOut(name, err)
	}
}

// IsUnwritable reports whether nothing can be stored of an object.
func (l *Ledger) IsUnwritable(key [16]byte) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.unwritable[key]
}

// Lookup notes a look-up that met damage.
func (l *Ledger) Lookup(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.damage.Lookups++; l.damage.Lookups == 1 {
		l.log.Error().Err(err).Msg("journal is damaged: what is known of an object or of duplicates can't be read and counts as unknown; stop the service and run kazoohook salvage")
	}
}

// Lost notes how many events are missing at the end.
func (l *Ledger) Lost(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.damage.Lost = n
}

// Gap notes numbers that no event has; in ascending order.
func (l *Ledger) Gap(r Range) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gaps = append(l.gaps, r)
}

// find returns the index of the range that has seq, or where that would be.
func find(list []Range, seq int64) (i int, in bool) {
	return slices.BinarySearchFunc(list, seq, func(r Range, seq int64) int {
		switch {
		case r.Last < seq:
			return -1
		case r.First > seq:
			return 1
		}
		return 0
	})
}

// Missing reports whether an event is unreadable or its number is in a gap, and
// returns the last number of that range.
func (l *Ledger) Missing(seq int64) (last int64, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, list := range [][]Range{l.damage.Events, l.gaps} {
		if i, in := find(list, seq); in {
			return list[i].Last, true
		}
	}
	return 0, false
}

// NeverGiven returns the last number of the gap that has seq+1; seq if that number is
// in no gap.
func (l *Ledger) NeverGiven(seq int64) int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if i, in := find(l.gaps, seq+1); in {
		return l.gaps[i].Last
	}
	return seq
}
