package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kazoohook/internal/journal"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"
	"kazoohook/internal/journal/journaltest"
)

// The copy holds everything that one damaged page leaves. The lost events are reported.
func TestSalvage(t *testing.T) {
	t.Parallel()
	const n = 400
	for name, how := range harms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filled(t, n)
			path := filepath.Join(dir, journal.FileName)
			list := pages(t, path, "events")
			harm(t, path, how, list[len(list)/2])
			j := openTest(t, options(dir))
			want := follow(t, j)
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if missing := n - len(want); missing < 1 || missing > 30 {
				t.Errorf("%d events are missing", missing)
			}
			before := slurp(t, dir, journal.FileName)
			copied := journaltest.MemoryDir(t)
			s, err := Salvage(t.Context(), dir, filepath.Join(copied, journal.FileName))
			if err != nil || s.Events != int64(len(want)) || s.Objects != n || len(s.Lost) == 0 || len(s.Partly) > 0 {
				t.Fatalf("%+v, %v", s, err)
			}
			if slurp(t, dir, journal.FileName) != before {
				t.Error("the original was changed")
			}
			j = openTest(t, options(copied))
			if diff := cmp.Diff(want, follow(t, j)); diff != "" {
				t.Error(diff)
			}
			if findings, err := j.Check(t.Context()); len(findings) > 0 || err != nil || j.Damage().Err() != nil {
				t.Errorf("the copy is damaged: %v, %v, %v", findings, err, j.Damage())
			}
			for seq, r := range want {
				if a := mustAppend(t, j, r); !a.Duplicate {
					t.Errorf("the deletion of event %d is new in the copy: %+v", seq, a)
				}
				break
			}
			if a := mustAppend(t, j, sample(n+1)); a.Seq != n+1 {
				t.Errorf("goes on with %d", a.Seq)
			}
			cursor, err := j.Cursor(t.Context(), "log")
			value, serr := j.State(t.Context(), "k")
			if cursor != 7 || value != "v" || err != nil || serr != nil {
				t.Errorf("cursor %d, state %q, %v, %v", cursor, value, err, serr)
			}
		})
	}
}

// A table that can't be read completely is reported, too. A journal that can't even be
// opened is copied as far as it can be read.
func TestSalvageOf(t *testing.T) {
	t.Parallel()
	const n = 600
	for name, c := range map[string]struct {
		table  string
		pages  func(list []int64) []int64
		partly []string
		most   int64 // events that may be lost
	}{
		"objects":       {"objects", func(l []int64) []int64 { return l[1 : len(l)-1] }, []string{"objects"}, 0},
		"newest events": {"events", func(l []int64) []int64 { return l[len(l)-2:] }, nil, 40},
		"oldest events": {"events", func(l []int64) []int64 { return l[:2] }, nil, 40},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filled(t, n)
			path := filepath.Join(dir, journal.FileName)
			harm(t, path, func(b []byte) { clear(b) }, c.pages(pages(t, path, c.table))...)
			copied := journaltest.MemoryDir(t)
			s, err := Salvage(t.Context(), dir, filepath.Join(copied, journal.FileName))
			if err != nil || s.Events < n-c.most || (s.Events == n) != (c.most == 0) || !slices.Equal(s.Partly, c.partly) || s.Objects == 0 || (s.Objects == n) != (c.partly == nil) {
				t.Fatalf("%+v, %v", s, err)
			}
			j := openTest(t, options(copied))
			if a := mustAppend(t, j, sample(n+1)); a.Seq != n+1 {
				t.Errorf("goes on with %d", a.Seq)
			}
			if got := follow(t, j); int64(len(got)) != s.Events+1 {
				t.Errorf("%d events of %d", len(got), s.Events)
			}
		})
	}
}

// The copy holds what is known of onward delivery, and also the events that are kept
// only for a destination.
func TestSalvageKeepsDeliveries(t *testing.T) {
	t.Parallel()
	dir := journaltest.MemoryDir(t)
	var ahead atomic.Int64 // of the wall clock, in hours
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load()) * time.Hour) }
	j := openTest(t, journal.Options{Dir: dir, Now: now, Retention: time.Hour, MaintainEvery: 2 * time.Millisecond})
	fill(t, j, 1, 10)
	var rows []journal.Judged
	for _, seq := range []int64{1, 2, 9} {
		rows = append(rows, journal.Judged{Seq: seq, Event: "user.deleted", Key: fmt.Sprint(seq)})
	}
	ctx := t.Context()
	err := errors.Join(
		j.Configure(ctx, []journal.NewDestination{{Name: "d"}}, nil, nil), j.Judge(ctx, "d", 0, 10, rows),
		j.Attempted(ctx, "d", []journal.Outcome{{Seq: 1, Dead: true, Error: "x"}, {Seq: 9, Delivered: true}}, nil),
		j.PlaceAccounts(ctx, []journal.AccountPlace{{Account: "a", Ancestors: []string{"m"}}}))
	if err != nil {
		t.Fatal(err)
	}
	ahead.Store(5)
	mustAppend(t, j, sample(77))
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if first, err := j.First(ctx); err != nil || first == 11 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing is removed")
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	to := journaltest.MemoryDir(t)
	if _, err := Salvage(ctx, dir, filepath.Join(to, journal.FileName)); err != nil {
		t.Fatal(err)
	}
	if j, err = journal.OpenReadOnly(ctx, options(to)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	if list, err := j.Destinations(ctx); err != nil || len(list) != 1 || list[0].Waiting != 1 || list[0].Dead != 1 || list[0].Accepted != 1 || list[0].Cursor != 10 {
		t.Errorf("%+v, %v", list, err)
	}
	if recs, lost, err := j.Kept(ctx, []int64{1, 2}); err != nil || len(lost) > 0 || len(recs) != 2 || recs[1].Event != "user.deleted" {
		t.Errorf("kept %+v, lost %v, %v", recs, lost, err)
	}
	if list, err := j.AccountPlaces(ctx); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

// The copy goes on with the times of the last command, also if the clock was once ahead of
// them, which shows in an event's id for ever.
func TestSalvageKeepsTime(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64 // of the wall clock, in hours
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load()) * time.Hour) }
	dir, to := journaltest.MemoryDir(t), journaltest.MemoryDir(t)
	j := openTest(t, journal.Options{Dir: dir, Now: now})
	ahead.Store(24)
	mustAppend(t, j, sample(1))
	ahead.Store(0)
	mustAppend(t, j, sample(2))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Salvage(t.Context(), dir, filepath.Join(to, journal.FileName)); err != nil {
		t.Fatal(err)
	}
	var times [2][2]int64
	for i, dir := range []string{dir, to} {
		c, err := database.Open(filepath.Join(dir, journal.FileName), "")
		if err == nil {
			_, err = c.Ints(t.Context(), "SELECT clock, wall FROM journal", nil, &times[i][0], &times[i][1])
			err = errors.Join(err, c.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if times[0] != times[1] || time.Unix(0, times[0][1]).After(time.Now()) {
		t.Errorf("%v became %v", times[0], times[1])
	}
}

// A journal of an earlier version, which has no destinations, is copied, too.
func TestSalvageOlder(t *testing.T) {
	t.Parallel()
	dir := filled(t, 20)
	c, err := database.Open(filepath.Join(dir, journal.FileName), "", "journal_mode(delete)")
	if err != nil {
		t.Fatal(err)
	}
	err = c.Script(t.Context(), "DROP TABLE destinations; DROP TABLE deliveries; DROP TABLE attempts; DROP TABLE backlog; DROP TABLE backlog_size; "+
		"DROP TABLE accounts; DROP TABLE cluster; DROP TABLE boots; DROP TABLE members; DROP TABLE chain; ALTER TABLE unanswered DROP COLUMN node; INSERT INTO unanswered VALUES (x'01', 1, 1, 1, 1, 0); PRAGMA user_version = 1;")
	if err := errors.Join(err, c.Close()); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(journaltest.MemoryDir(t), journal.FileName)
	if s, err := Salvage(t.Context(), dir, to); err != nil || s.Events != 20 || len(s.Partly) > 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if got := follow(t, openTest(t, options(filepath.Dir(to)))); len(got) != 20 {
		t.Errorf("%d events", len(got))
	}
}

func TestSalvageFails(t *testing.T) {
	t.Parallel()
	dir := filled(t, 30)
	for name, c := range map[string]struct {
		ctx       context.Context
		dir, file string
		want      string
	}{
		"there is a file":     {t.Context(), dir, filepath.Join(dir, journal.FileName), "exists already"},
		"below a file":        {t.Context(), dir, filepath.Join(dir, journal.FileName, "x"), "not a directory"},
		"no such directory":   {t.Context(), dir, filepath.Join(dir, "none", "x"), "no such file"},
		"no data directory":   {t.Context(), filepath.Join(dir, "none"), filepath.Join(dir, "x"), "no such file"},
		"no journal":          {t.Context(), journaltest.MemoryDir(t), filepath.Join(dir, "y"), "unable to open"},
		"stopped":             {cancelled(t), dir, filepath.Join(dir, "z"), context.Canceled.Error()},
		"newest is unhelpful": {t.Context(), odd(t, dir), filepath.Join(dir, "v"), "is a directory"},
	} {
		if s, err := Salvage(c.ctx, c.dir, c.file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	openTest(t, options(dir))
	if _, err := Salvage(t.Context(), dir, filepath.Join(dir, "w")); !errors.Is(err, journal.ErrInUse) {
		t.Errorf("in use: %v", err)
	}
}

// odd returns a copy of a data directory whose file newest can't be read.
func odd(t *testing.T, dir string) string {
	t.Helper()
	to := journaltest.MemoryDir(t)
	put(t, to, journal.FileName, slurp(t, dir, journal.FileName))
	if err := os.Mkdir(filepath.Join(to, integrity.NewestName), 0o700); err != nil {
		t.Fatal(err)
	}
	return to
}

// CheckDir finds damage, whether or not a service uses the directory.
func TestCheckDir(t *testing.T) {
	t.Parallel()
	const n = 300
	middle := func(l []int64) []int64 { return l[len(l)/2 : len(l)/2+1] }
	for name, c := range map[string]struct {
		harm  func(t *testing.T, path string)
		found string
	}{
		"whole": {func(*testing.T, string) {}, ""},
		"page": {func(t *testing.T, path string) {
			harm(t, path, func(b []byte) { clear(b) }, middle(pages(t, path, "events"))...)
		}, "Tree"},
		"one bit": {func(t *testing.T, path string) {
			harm(t, path, func(b []byte) { b[len(b)-100] ^= 4 }, middle(pages(t, path, "events"))...)
		}, "can't be read"},
		"text": {func(t *testing.T, path string) {
			patch(t, path, func([]byte) []byte { return []byte(strings.Repeat("x", 9999)) })
		}, "journal damaged"},
	} {
		dir := filled(t, n)
		c.harm(t, filepath.Join(dir, journal.FileName))
		found, err := CheckDir(t.Context(), dir)
		if err != nil || (len(found) > 0) != (c.found != "") || !strings.Contains(strings.Join(found, "\n"), c.found) {
			t.Errorf("%s: %q, %v", name, found, err)
		}
	}
	dir := filled(t, n)
	mustAppend(t, openTest(t, options(dir)), sample(n+1))
	if found, err := CheckDir(t.Context(), dir); err != nil || len(found) > 0 {
		t.Errorf("beside a service: %q, %v", found, err)
	}
	if found, err := CheckDir(cancelled(t), dir); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %q, %v", found, err)
	}
	if found, err := CheckDir(t.Context(), t.TempDir()); err == nil {
		t.Errorf("no journal: %q", found)
	}
}
