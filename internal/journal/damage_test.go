package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/snapshot"
)

// crashed returns a directory as a crash leaves it: n events, and five more only in
// SQLite's log.
func crashed(t *testing.T, n int64) string {
	t.Helper()
	j := openTest(t, Options{})
	fill(t, j, n, func(i int64) event.Record { return sample(i, event.Edited) })
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openTest(t, j.opt)
	for i := range int64(5) { // a transaction each
		mustAppend(t, j, sample(n+1+i, event.Edited))
	}
	dir := t.TempDir()
	copyFiles(t, j.opt.Dir, dir)
	return dir
}

func patch(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// pages returns the numbers of the leaf pages of a table or an index.
func pages(t *testing.T, path, name string) (list []int64) {
	t.Helper()
	c, err := database.Open(path, "")
	if err != nil {
		t.Fatal(err)
	}
	err = c.Once(t.Context(), "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno", []any{name}, func(v database.Row) error {
		list = append(list, v.Int(0))
		return nil
	})
	if err := errors.Join(err, c.Close()); err != nil || len(list) < 4 {
		t.Fatalf("%d pages of %s: %v", len(list), name, err)
	}
	return list
}

// harms returns ways to damage a page.
func harms() map[string]func(page []byte) {
	return map[string]func([]byte){
		"zeros":   func(p []byte) { clear(p) },
		"ones":    func(p []byte) { copy(p, bytes.Repeat([]byte{0xff}, len(p))) },
		"text":    func(p []byte) { copy(p[8:], bytes.Repeat([]byte("x"), len(p)-8)) },
		"one bit": func(p []byte) { p[len(p)-100] ^= 4 },
		"rows":    func(p []byte) { p[4]-- }, // the page seems to have one row less
	}
}

// filled returns the directory of a closed journal of n events.
func filled(t *testing.T, n int64) (dir string) {
	t.Helper()
	j := openTest(t, Options{Dir: memoryDir(t)})
	fill(t, j, n, func(i int64) event.Record {
		r := sample(i, event.Deleted)
		r.ReceivedAt = time.Now().UTC()
		return r
	})
	if err := errors.Join(j.MoveCursor(t.Context(), "log", 0, 7), j.SetState(t.Context(), "k", "v"), j.Close()); err != nil {
		t.Fatal(err)
	}
	return j.opt.Dir
}

func harm(t *testing.T, dir string, page int64, how func([]byte)) {
	t.Helper()
	patch(t, filepath.Join(dir, FileName), func(b []byte) []byte {
		how(b[(page-1)*database.PageSize : page*database.PageSize])
		return b
	})
}

// follow reads as a consumer does, until it has seen the newest event.
func follow(t *testing.T, j *Journal) (seen map[int64]event.Record) {
	t.Helper()
	seen = map[int64]event.Record{}
	last, err := j.Last(t.Context())
	for after := int64(0); after < last; {
		if err := j.Wait(t.Context(), after); err != nil {
			t.Fatal(err)
		}
		page, rerr := j.Read(t.Context(), after, 37)
		if err = errors.Join(err, rerr); err != nil || len(page) == 0 {
			t.Fatalf("after %d: %d, %v", after, len(page), err)
		}
		for _, r := range page {
			seen[r.Seq] = r
		}
		after = page[len(page)-1].Seq
	}
	return seen
}

// One page in the middle is damaged. Its events are reported as damaged; all other
// events are read and found, and new ones are stored.
func TestDamagedPage(t *testing.T) {
	t.Parallel()
	const n = 400
	for name, how := range harms() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filled(t, n)
			list := pages(t, filepath.Join(dir, FileName), "events")
			harm(t, dir, list[len(list)/2], how)
			j := openTest(t, Options{Dir: dir})
			if a := mustAppend(t, j, sample(n+1, event.Deleted)); a.Seq != n+1 {
				t.Errorf("stored as %+v", a)
			}
			seen := follow(t, j)
			if missing := n + 1 - len(seen); missing < 1 || missing > 30 {
				t.Errorf("%d events are missing", missing)
			}
			d := j.Damage()
			named := 0
			for _, r := range d.Events {
				for seq := r.First; seq <= r.Last; seq++ {
					if _, ok := seen[seq]; ok {
						t.Errorf("event %d was read, but is reported as damaged", seq)
					}
					named++
				}
			}
			if named != n+1-len(seen) || !errors.Is(d.Err(), ErrCorrupt) || j.Health() != nil {
				t.Errorf("%d events are reported as damaged, %v; %v", named, d.Err(), j.Health())
			}
			if name != "one bit" {
				if found, err := j.Check(t.Context()); len(found) == 0 || err != nil {
					t.Errorf("the check finds %v, %v", found, err)
				}
			}
			if k, err := j.Count(t.Context(), event.Query{Events: []string{"user.deleted"}}); int(k) != len(seen) || err != nil {
				t.Errorf("%d counted of %d, %v", k, len(seen), err)
			}
		})
	}
}

// A damaged page of an index, or of what is known of objects, costs no event.
func TestDamagedIndex(t *testing.T) {
	t.Parallel()
	const n = 1500
	for _, name := range []string{"events_object", "events_account", "objects"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filled(t, n)
			list := pages(t, filepath.Join(dir, FileName), name)
			for _, page := range list[1 : len(list)-1] {
				harm(t, dir, page, func(p []byte) { clear(p) })
			}
			j := openTest(t, Options{Dir: dir})
			for i := range int64(20) {
				r := sample(i+1, event.Deleted)
				q := event.Query{Objects: []string{r.ObjectID}}
				if i%2 == 0 {
					q = event.Query{Accounts: []string{r.AccountID}, Events: []string{"user.deleted"}, Before: 300 + 40*i, Limit: 1}
				}
				recs, _, err := j.Query(t.Context(), q)
				if err != nil || len(recs) != 1 || recs[0].ObjectID != r.ObjectID && i%2 == 1 {
					t.Errorf("query %d: %d, %v", i, len(recs), err)
				}
			}
			stored := 0
			for i := range int64(20) {
				if _, err := j.Append(t.Context(), sample(n+1+i, event.Deleted)); err == nil {
					stored++
				} else if !errors.Is(err, ErrUnavailable) {
					t.Error(err)
				}
			}
			if len(follow(t, j)) != n+stored || !errors.Is(j.Damage().Err(), ErrCorrupt) || j.Health() != nil {
				t.Errorf("%d stored, %d read, %v, %v", stored, len(follow(t, j)), j.Damage(), j.Health())
			}
		})
	}
}

// One page of what is known of objects is damaged. A listing is applied without the
// objects on it, and a comparison finds what is missing among the others.
func TestDamagedObjects(t *testing.T) {
	t.Parallel()
	const n, missing = 3 * MaxPage, 7
	for _, name := range []string{"zeros", "ones", "text"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, dir := t.Context(), memoryDir(t)
			var all []snapshot.Listed
			for i := range int64(n) {
				all = append(all, snapshot.Listed{ID: sample(i, event.Deleted).ObjectID, Name: "Ann Lee"})
			}
			list := func(j *Journal, pass int64) error {
				for part := range slices.Chunk(all, MaxPage) {
					got, err := j.Listed(ctx, snapshot.Page{Type: "user", Account: "a", Pass: pass, AsOf: j.Applied(), Report: true, Baseline: pass == 1, Objects: part})
					if len(got.Created) > 0 && pass > 1 || err != nil {
						return fmt.Errorf("pass %d: %+v, %w", pass, got.Created, err)
					}
				}
				return nil
			}
			j := openTest(t, Options{Dir: dir})
			err := errors.Join(list(j, 1), j.Close())
			if err != nil {
				t.Fatal(err)
			}
			leaves := pages(t, filepath.Join(dir, FileName), "objects")
			harm(t, dir, leaves[len(leaves)/2], harms()[name])
			j = openTest(t, Options{Dir: dir})
			gone := map[string]bool{}
			for _, l := range all[:missing] {
				gone[l.ID] = true
			}
			all = all[missing:]
			if err := list(j, 2); err != nil {
				t.Fatal(err)
			}
			found := 0
			for o, err := range j.ObjectsNotSeen(ctx, "user", "a", 2) {
				if err != nil || !gone[o.ID] {
					t.Fatalf("%+v isn't seen, %v", o, err)
				}
				a, err := j.Missing(ctx, snapshot.Missing{Type: "user", Account: "a", ID: o.ID, AsOf: j.Applied(), Report: true})
				if err != nil || a.Seq == 0 {
					t.Errorf("%+v, %v", a, err)
				}
				found++
			}
			// Those that can't be stored are named, and cost nothing but themselves.
			d, lost := j.Damage(), snapshot.Listed{}
			for _, l := range all {
				if j.damage.IsUnwritable(snapshot.Key("user", "a", l.ID)) {
					lost = l
				}
			}
			if found < missing-1 || d.LeftOut < 10 || d.LeftOut > 60 || d.Refused > 0 || lost.ID == "" || !strings.Contains(j.Trouble().Error(), "objects or other changes") {
				t.Errorf("%d of %d found, damage %+v, %v", found, missing, d, j.Trouble())
			}
			got, err := j.Looked(ctx, snapshot.Look{Type: "user", Account: "a", ID: lost.ID, Found: true, Report: true, AsOf: j.Applied()})
			if err != nil || len(got.Created) > 0 {
				t.Errorf("looked up: %+v, %v", got, err)
			}
			if a, err := j.Missing(ctx, snapshot.Missing{Type: "user", Account: "a", ID: lost.ID, AsOf: j.Applied(), Report: true}); err != nil || a.Seq > 0 {
				t.Errorf("missing: %+v, %v", a, err)
			}
			if o, _, err := j.Object(ctx, "user", "a", lost.ID); err != nil || o.Pass == 2 {
				t.Errorf("%+v, %v", o, err)
			}
			if pass, err := j.NewestPass(ctx); err != nil || pass != 2 {
				t.Errorf("pass %d, %v", pass, err)
			}
			if j.Damage().LeftOut != d.LeftOut {
				t.Errorf("%d objects, then %d", d.LeftOut, j.Damage().LeftOut)
			}
		})
	}
}

// An object that waits for a look-up and can't be read doesn't keep the others from it.
func TestDamagedLooks(t *testing.T) {
	t.Parallel()
	const n = 1000
	j := openTest(t, Options{Dir: memoryDir(t)})
	fill(t, j, n, func(i int64) event.Record { return sample(i, event.Edited) })
	if list, err := j.Looks(t.Context(), "", 0, 2*n); err != nil || len(list) != n {
		t.Fatalf("%d objects, %v", len(list), err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	leaves := pages(t, filepath.Join(j.opt.Dir, FileName), "objects")
	harm(t, j.opt.Dir, leaves[len(leaves)/2], harms()["zeros"])
	j = openTest(t, Options{Dir: j.opt.Dir})
	seen := 0
	for after := int64(0); ; {
		list, err := j.Looks(t.Context(), "", after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		seen, after = seen+len(list), list[len(list)-1].Look
	}
	if seen == n || seen < n-60 || !errors.Is(j.Trouble(), ErrCorrupt) {
		t.Errorf("%d of %d, %v", seen, n, j.Trouble())
	}
	if _, err := j.Looks(t.Context(), snapshot.TypeAccount, 0, 100); err != nil {
		t.Errorf("of one type: %v", err)
	}
}

// If damage prevents opening, the error says so and nothing is changed.
func TestDamageThatStops(t *testing.T) {
	t.Parallel()
	const n = 300
	cut := func(keep func(int) int) func([]byte) []byte {
		return func(b []byte) []byte { return b[:keep(len(b))] }
	}
	for name, c := range map[string]struct {
		change func([]byte) []byte
		says   string
	}{
		"cut off":                 {cut(func(n int) int { return n / 2 }), "malformed"},
		"cut off in the header":   {cut(func(int) int { return 50 }), "malformed"},
		"another file":            {func(b []byte) []byte { copy(b, "no database at all"); return b }, "not a database"},
		"schema page overwritten": {func(b []byte) []byte { copy(b[100:], strings.Repeat("x", 1000)); return b }, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filled(t, n)
			path := filepath.Join(dir, FileName)
			patch(t, path, c.change)
			before := database.FileSize(path)
			j, err := Open(t.Context(), Options{Dir: dir})
			if err == nil {
				_ = j.Close()
				t.Fatal("opened")
			}
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "salvage") {
				t.Errorf("error is %v", err)
			}
			if database.FileSize(path) != before {
				t.Error("the file was changed")
			}
		})
	}
}
