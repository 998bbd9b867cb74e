package integrity

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/datadir"
)

// NewestName is the name of the small file beside the database.
const NewestName = "newest"

// Newest is what the file newest says that the database must hold.
type Newest struct {
	Seq    int64  // of the newest event
	Number int64  // of the last command
	Name   string // the journal's
	Closed bool   // the journal was closed without a failure
	Synced int64  // number of the last command that was synced; 0 in files of earlier versions
}

// NewestFile is the file newest, kept open. It is written after every commit and
// synced once a second.
type NewestFile struct {
	f      *os.File
	newest Newest
	synced time.Time
	syncs  sync.WaitGroup
	buf    []byte
	noted  func([]byte) // gets what is written, nil at a sync; for tests
}

const newestFormat = "%020d %020d %-8s %-6s %020d\n"

// ReadNewest reads the file newest; ok is false if there is none, or it is malformed.
func ReadNewest(path string) (n Newest, ok bool, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return n, false, nil
	}
	if err != nil {
		return n, false, err
	}
	state := ""
	if got, _ := fmt.Sscanf(string(b), "%d %d %s %s %d", &n.Seq, &n.Number, &n.Name, &state, &n.Synced); got < 4 {
		return Newest{}, false, nil // cut off by a crash while it was created
	}
	n.Closed = state == "closed"
	return n, true, nil
}

// OpenNewest opens the file of the journal called name. noted may be nil.
func OpenNewest(path, name string, noted func([]byte)) (*NewestFile, error) {
	f, err := datadir.Open(path)
	if err != nil {
		return nil, err
	}
	if noted == nil {
		noted = func([]byte) {}
	}
	return &NewestFile{f: f, newest: Newest{Name: name}, noted: noted}, nil
}

const syncNewestEvery = time.Second

// Write notes what is on disk. A failure is ignored: the file is then behind, and
// less loss is noticed at the next start.
func (n *NewestFile) Write(seq, number, synced int64) {
	n.newest.Seq, n.newest.Number, n.newest.Synced = seq, number, synced
	n.put("open")
	if now := time.Now(); now.Sub(n.synced) >= syncNewestEvery {
		n.synced = now
		n.syncs.Go(func() { // nobody waits for it
			_ = n.f.Sync()
			n.noted(nil)
		})
	}
}

func (n *NewestFile) put(state string) {
	n.buf = fmt.Appendf(n.buf[:0], newestFormat, n.newest.Seq, n.newest.Number, n.newest.Name, state, n.newest.Synced)
	n.noted(n.buf)
	_, _ = n.f.WriteAt(n.buf, 0)
}

// Close closes the file. clean notes that the journal was closed without a failure.
func (n *NewestFile) Close(clean bool) error {
	n.syncs.Wait()
	if clean {
		n.put("closed")
	}
	return errors.Join(n.f.Sync(), n.f.Close())
}

// NewName draws a random name for a journal.
func NewName() string { return strings.ToLower(rand.Text()[:8]) }

// SkipAtLeast is how many numbers are skipped after a loss. After a power cut the file
// newest may be a second behind; fewer numbers than this are given in a second.
const SkipAtLeast = 100_000

// Verdict says how a journal goes on after its end was judged.
type Verdict struct {
	Name     string // the journal's
	Next     int64  // the last number that was given, or is skipped
	Lost     int64  // at least so many events are missing at the end
	Commands int64  // at least so many commands are missing at the end: also hidden events, listings and states
	Skip     Range  // numbers that are skipped; zero: none
}

// Judge compares the last number of the journal called name ("": it is empty), and that of
// its last command, with what the file newest said, if ok. If its numbers can't be
// compared with earlier ones, or it lacks anything, the journal gets a new name. It then
// goes on with numbers that, as far as the file says, were never given.
func Judge(said Newest, ok bool, name string, last, number int64) Verdict {
	v := Verdict{Name: name, Next: last}
	switch {
	case name == "" && (!ok || said.Seq == 0 && said.Synced == 0): // it is new
		v.Name = NewName()
		return v
	case ok && said.Name == name && said.Seq <= last && said.Synced <= number, !ok && last == 0:
		return v
	}
	v.Name = NewName()
	if ok && said.Seq > 0 {
		v.Next = max(last, said.Seq) + SkipAtLeast
		v.Lost = max(0, said.Seq-last)
		v.Skip = Range{last + 1, v.Next}
	}
	if ok && (name == "" || said.Name == name) {
		v.Commands = max(0, said.Synced-number)
	}
	return v
}

// Log logs why an existing journal has a new name; last is the number of its newest
// event.
func (v Verdict) Log(log zerolog.Logger, last int64) {
	switch {
	case v.Lost > 0:
		log.Error().Int64("lost_at_least", v.Lost).Int64("newest_seq", last).Int64("next_seq", v.Next+1).Str("new_journal", v.Name).
			Msg("journal lacks events that were acknowledged: an old copy was put in place, or its -wal file was lost or damaged; Kazoo's record of failed attempts doesn't have them")
	case v.Commands > 0:
		log.Error().Int64("lost_commands_at_least", v.Commands).Int64("newest_seq", last).Int64("next_seq", v.Next+1).Str("new_journal", v.Name).
			Msg("journal lacks changes that were acknowledged, such as what hidden events showed of objects, but no event that has a number: an old copy was put in place, or its -wal file was lost or damaged")
	default:
		log.Warn().Int64("newest_seq", last).Int64("next_seq", v.Next+1).Str("new_journal", v.Name).
			Msg("journal was put in place of another one, or its file newest was removed: sequence numbers can't be compared with earlier ones")
	}
}
