package archive

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"kazoohook/internal/datadir"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/journal/tables"
	"kazoohook/internal/snapshot"
)

// Salvaged says what Salvage copied.
type Salvaged struct {
	Events  int64             // copied
	Lost    []integrity.Range // events that can't be read
	Objects int64             // known objects copied
	Partly  []string          // tables of which some rows can't be read
	Journal string            // the copy's name
}

// Salvage copies everything that can be read from the journal in dir into a new
// database file. The service must be stopped. Events keep their numbers and ids; the
// copy gets a new name. The original isn't changed.
func Salvage(ctx context.Context, dir, newFile string) (s Salvaged, err error) {
	if err := unused(newFile); err != nil {
		return s, err
	}
	lock, err := database.ClaimToRead(dir)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	path := filepath.Join(dir, journal.FileName)
	from, err := journal.OpenFile(ctx, path)
	if from == nil {
		return s, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	c, err := database.Open(path, database.ReadOnly(path))
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := datadir.Make(dir, newFile); err != nil { // SQLite would make it root's
		return s, err
	}
	to, err := tables.NewBuilder(ctx, newFile)
	if err != nil {
		return s, err
	}
	v := salvager{from: from, c: c, to: to, done: &s}
	if err := v.run(ctx, dir); err != nil {
		return s, errors.Join(err, to.Close())
	}
	s.Journal = integrity.NewName()
	return s, to.Finish(s.Journal, v.number, 0, v.last)
}

// salvager copies from one database to another.
type salvager struct {
	from *journal.Journal
	c    *database.Conn // to the same database as from
	to   *tables.Builder
	done *Salvaged

	last   int64 // number of the newest event
	number int64 // of the last command
	copied int64 // rows of the current table
}

func (v *salvager) run(ctx context.Context, dir string) error {
	said, _, err := integrity.ReadNewest(filepath.Join(dir, integrity.NewestName))
	if err != nil {
		return err
	}
	list, err := v.tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range list {
		n, err := v.table(ctx, t.name, t.key, t.columns)
		if err != nil {
			return err
		}
		if t.name == "objects" {
			v.done.Objects = n
		}
	}
	if slices.Contains(v.done.Partly, "objects") { // a listing must not report lost objects as created
		if err := v.to.Exec("UPDATE state SET value = ? WHERE key LIKE ?", snapshot.BaselineAgain, snapshot.BaselineKey+"%"); err != nil {
			return err
		}
	}
	if err := v.events(ctx); err != nil {
		return err
	}
	v.done.Lost = v.from.Damage().Events
	if v.last < said.Seq {
		v.done.Lost = append(v.done.Lost, integrity.Range{First: v.last + 1, Last: said.Seq})
	}
	for _, r := range v.done.Lost {
		if err := v.to.Exec("INSERT OR REPLACE INTO gaps (first, last, reason) VALUES (?,?,?)", r.First, r.Last, "could not be salvaged"); err != nil {
			return err
		}
	}
	v.last, v.number = max(v.last, said.Seq), max(v.from.Applied(), said.Number)
	return nil
}

// table is a table that is copied row by row, in the order of its key.
type table struct{ name, key, columns string }

// tables lists the journal's tables. A journal of an earlier version lacks some, or
// a column.
func (v *salvager) tables(ctx context.Context) ([]table, error) {
	list := []table{
		{"names", "id", "*"}, {"objects", "key", "*"}, {"firings", "hook_id, firing", "*"}, {"consumers", "name", "*"}, {"state", "key", "*"}, {"gaps", "first", "*"}, {"journal", "id", "*"},
	}
	var version int64
	_, err := v.c.Ints(ctx, "PRAGMA user_version", nil, &version)
	if version >= tables.DestinationsSchema {
		list = append(list, table{"backlog", "seq", "*"}, table{"destinations", "name", "*"}, table{"deliveries", "seq, destination", "*"},
			table{"attempts", "seq, destination, n", "*"}, table{"accounts", "account", "*"})
	}
	unanswered := table{"unanswered", "key, seq", "*"}
	if version < tables.ClusterSchema {
		unanswered.columns = "*, ''"
	}
	list = append(list, unanswered)
	return list, err
}

// events copies the events that can be read and are as they were written.
func (v *salvager) events(ctx context.Context) error {
	const page = 1000
	var err error
	if v.last, err = v.from.Last(ctx); err != nil {
		return err
	}
	for after := int64(0); ; {
		recs, err := v.from.Read(ctx, after, page)
		if err != nil || len(recs) == 0 {
			return err
		}
		after = recs[len(recs)-1].Seq
		err = v.to.Transaction(func() error {
			for i := range recs {
				if err := v.c.Rows(ctx, "SELECT * FROM events WHERE seq = ?", []any{recs[i].Seq}, v.into("events")); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		v.done.Events += int64(len(recs))
	}
}

// into writes rows to a table of the copy, unless they are there.
func (v *salvager) into(table string) func(database.Row) error {
	return func(row database.Row) error {
		args := make([]any, len(row))
		for i := range row {
			args[i] = row[i]
		}
		n, err := v.to.Change("INSERT OR IGNORE INTO "+table+" VALUES ("+database.Marks(len(row))+")", args...)
		v.copied += n
		return err
	}
}

// table copies the rows of a table: from its beginning to the first row that can't be
// read, then from its end backwards.
func (v *salvager) table(ctx context.Context, name, key, columns string) (n int64, err error) {
	v.copied = 0
	for _, order := range []string{"", " DESC"} {
		keys := strings.ReplaceAll(key, ",", order+",") + order
		var rerr, werr error
		err := v.to.Transaction(func() error {
			into := v.into(name)
			rerr = v.c.Once(ctx, "SELECT "+columns+" FROM "+name+" ORDER BY "+keys, nil, func(row database.Row) error {
				werr = into(row)
				return werr
			})
			return werr
		})
		if err != nil || rerr == nil {
			return v.copied, err
		}
		if !database.IsDamage(rerr) {
			return v.copied, rerr
		}
	}
	v.done.Partly = append(v.done.Partly, name)
	return v.copied, nil
}
