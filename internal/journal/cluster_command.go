package journal

import (
	"strconv"
	"time"

	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
)

// The commands that exist only in a cluster's log.

// answers are the outcomes of several answers.
type answers struct {
	header
	List []*outcome `cbor:"1,keyasint"`
}

// led elects the node that gives it.
type led struct {
	header
	Term uint64 `cbor:"1,keyasint"`
	// Unknown says that nobody knows how long the log was silent: this process has read
	// no tick since it began, and its wall clock was behind the journal.
	Unknown bool `cbor:"2,keyasint,omitzero"`
}

// ticked advances the cluster's clock.
type ticked struct {
	header
	Elapsed time.Duration `cbor:"1,keyasint"` // since the leader's previous tick
}

// kept stores a small value.
type kept struct {
	header
	Key   string `cbor:"1,keyasint"`
	Value string `cbor:"2,keyasint,omitzero"`
	First bool   `cbor:"3,keyasint,omitzero"` // only if there is none
}

// raised puts a version of the rules into effect.
type raised struct {
	header
	Version int `cbor:"1,keyasint"`
}

// joined adds a node, or changes its id.
type joined struct {
	header
	Node string `cbor:"1,keyasint"`
	ID   string `cbor:"2,keyasint"`
}

// left removes a node that is lost.
type left struct {
	header
	Node string `cbor:"1,keyasint"`
}

// renamed gives the journal a new name, and skips numbers. Earlier versions give it after
// they have made a log anew.
type renamed struct {
	header
	Name string `cbor:"1,keyasint"`
}

// unreadable is a command that this program can't read.
type unreadable struct {
	header
	err error
}

// apart marks commands that get a transaction of their own: they change rows that
// earlier commands of the same transaction would not have written yet.
type apart interface{ apart() }

func (*removed) apart() {}
func (*swept) apart()   {}
func (*left) apart()    {}
func (*renamed) apart() {}

func (cmd *answers) apply(t *tx) (res result, err error) {
	for _, o := range cmd.List {
		_, err = o.apply(t)
	}
	return res, err
}

func (cmd *led) apply(t *tx) (res result, _ error) {
	t.listened(cmd.Unknown)
	l := t.log
	l.Term, l.Leader, l.Boot, l.tick = cmd.Term, t.from.node, t.from.boot, t.at.Clock
	t.news = append(t.news, news{term: l.Term, leader: l.Leader, boot: l.Boot})
	return res, nil
}

func (*ticked) apply(t *tx) (res result, _ error) {
	t.listened(false)
	t.log.tick = t.at.Clock
	t.news = append(t.news, news{term: t.log.Term})
	return res, nil
}

func (cmd *unreadable) apply(*tx) (result, error) { return result{}, cmd.err }

// longestSilence is how long the log may have no tick while the cluster still counts
// as listening. The election of a new leader takes less.
const longestSilence = 20 * time.Second

// interruptionsKey is the key of the number of longer silences.
const interruptionsKey = "cluster/interruptions"

// listened handles a tick or an election, which shows that a quorum takes requests. If
// the previous one is too long ago, or its age is unknown, there was an interruption.
func (t *tx) listened(unknown bool) {
	if unknown || t.at.Clock.Sub(t.log.tick) > longestSilence {
		n, _ := strconv.Atoi(t.value(interruptionsKey)) // nobody else writes it
		t.set(interruptionsKey, strconv.Itoa(n+1))
	}
}

func (t *tx) value(key string) (value string) {
	t.look(t.c.Rows(ctx0, "SELECT value FROM state WHERE key = ?", []any{key}, func(v database.Row) error {
		value = v.Text(0)
		return nil
	}))
	return value
}

func (cmd *kept) apply(t *tx) (res result, _ error) {
	if cmd.First {
		res.kept = t.value(cmd.Key)
	}
	if res.kept == "" {
		res.kept = cmd.Value
		t.set(cmd.Key, cmd.Value)
	}
	return res, nil
}

// apply puts a version of the rules into effect. A program that doesn't know the
// version applies nothing more.
func (cmd *raised) apply(t *tx) (res result, _ error) {
	if cmd.Version <= t.log.Fold {
		return res, nil
	}
	if known := t.j.newestFold(); cmd.Version > known {
		t.look(tooNew(cmd.Version, known))
		return res, nil
	}
	t.log.Fold = cmd.Version
	t.news = append(t.news, news{})
	return res, nil
}

func (cmd *joined) apply(t *tx) (res result, _ error) {
	t.exec("INSERT OR REPLACE INTO members (node, id, removed) VALUES (?,?,0)", cmd.Node, cmd.ID)
	t.member()
	return res, nil
}

func (cmd *left) apply(t *tx) (res result, _ error) {
	t.exec("UPDATE members SET removed = 1 WHERE node = ?", cmd.Node)
	t.member()
	return res, nil
}

// member reads the members again and reports the change.
func (t *tx) member() {
	var err error
	t.log.Members, err = members(ctx0, t.c)
	t.news = append(t.news, news{})
	t.look(err)
}

func (cmd *renamed) apply(t *tx) (res result, _ error) {
	t.name, t.log.Journal = cmd.Name, cmd.Name
	t.rename(cmd.Name)
	return res, nil
}

// rename skips more numbers than may have been given to lost events.
func (t *tx) rename(name string) {
	last := t.nextSeq() - 1
	t.gap = integrity.Range{First: last + 1, Last: last + integrity.SkipAtLeast}
	t.exec("INSERT INTO gaps (first, last, reason) VALUES (?,?,?)", t.gap.First, t.gap.Last, "rebuilt")
	t.exec("UPDATE journal SET name = ?, last = ?", name, t.gap.Last)
}
