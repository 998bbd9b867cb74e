package integrity

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/journal/database"
)

// Events that can't be read are noted as ranges, whatever the order they are found in.
func TestLedger(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		found []int64
		want  []Range
	}{
		"none":              {nil, nil},
		"one":               {[]int64{5}, []Range{{5, 5}}},
		"twice":             {[]int64{5, 5}, []Range{{5, 5}}},
		"upwards":           {[]int64{5, 6, 7}, []Range{{5, 7}}},
		"downwards":         {[]int64{7, 6, 5}, []Range{{5, 7}}},
		"between":           {[]int64{5, 7, 6}, []Range{{5, 7}}},
		"apart":             {[]int64{9, 1, 5}, []Range{{1, 1}, {5, 5}, {9, 9}}},
		"beside the second": {[]int64{1, 5, 9, 6}, []Range{{1, 1}, {5, 6}, {9, 9}}},
	} {
		var log bytes.Buffer
		l := NewLedger(zerolog.New(&log))
		for _, seq := range c.found {
			l.Unreadable(seq, errors.New("odd"))
		}
		d := l.Damage()
		if !slices.Equal(d.Events, c.want) || (d.Err() == nil) != (len(c.want) == 0) || (log.Len() > 0) != (len(c.want) > 0) || strings.Count(log.String(), "\n") > 1 {
			t.Errorf("%s: %v, %v, %s", name, d.Events, d.Err(), log.String())
		}
		n := int64(0)
		for _, r := range c.want {
			n += r.Last - r.First + 1
			if last, ok := l.Missing(r.First); !ok || last != r.Last {
				t.Errorf("%s: %d is missing up to %d, %v", name, r.First, last, ok)
			}
			if _, ok := l.Missing(r.Last + 1); ok {
				t.Errorf("%s: %d is missing", name, r.Last+1)
			}
		}
		if d.Count() != n {
			t.Errorf("%s: %d events", name, d.Count())
		}
	}
}

func TestGaps(t *testing.T) {
	t.Parallel()
	l := NewLedger(zerolog.Nop())
	l.Gap(Range{10, 20})
	l.Gap(Range{30, 30})
	for seq, want := range map[int64]int64{8: 8, 9: 20, 15: 20, 20: 20, 29: 30, 30: 30} {
		if got := l.NeverGiven(seq); got != want {
			t.Errorf("after %d: %d, want %d", seq, got, want)
		}
	}
	if last, ok := l.Missing(12); !ok || last != 20 || l.Damage().Err() != nil {
		t.Errorf("%d, %v, %v", last, ok, l.Damage().Err())
	}
}

// Damage is described in one sentence that names the worst, and is logged once.
func TestDamage(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	key := [16]byte{1}
	l := NewLedger(zerolog.New(&log))
	for _, c := range []struct {
		does func()
		want string
	}{
		{func() { l.Lost(3) }, ""},
		{func() { l.Lookup(errors.New("odd")); l.Lookup(errors.New("odd")) }, "what is known of objects"},
		{func() { l.damage.Findings = []string{"row 3 missing"} }, "row 3 missing"},
		{func() { l.Unreadable(4, errors.New("odd")) }, "1 events can't be read, the first is 4"},
		{func() { l.LeftOut("a", errors.New("odd")); l.LeftOut("a", errors.New("odd")) }, "2 objects or other changes"},
		{func() { l.Unwritable(key, "a", errors.New("odd")); l.Unwritable(key, "a", errors.New("odd")) }, "3 objects or other changes"},
		{func() { l.Refused(errors.New("odd")); l.Refused(errors.New("odd")) }, "2 requests could not be stored"},
	} {
		c.does()
		err := l.Damage().Err()
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 4 || l.Damage().Lost != 3 || !l.IsUnwritable(key) || l.IsUnwritable([16]byte{}) {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}

// The patrol reads all events again and again, the first time in a hurry. After a
// failure it goes on where it was.
func TestPatrol(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var asked []int64
		var at []time.Duration
		start := time.Now()
		read := func(_ context.Context, after int64) (int64, error) {
			asked, at = append(asked, after), append(at, time.Since(start).Round(time.Millisecond))
			switch {
			case len(asked) == 2:
				return 0, errors.New("odd")
			case len(asked) == 5:
				cancel()
			case after == 1000:
				return 0, nil
			}
			return after + 500, nil
		}
		NewLedger(zerolog.Nop()).Patrol(ctx, read, true)
		if !slices.Equal(asked, []int64{0, 500, 500, 1000, 0}) || at[3] != 4*patrolHurry || at[4] != 4*patrolHurry+patrolPause {
			t.Errorf("asked after %v, at %v", asked, at)
		}
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	odd := errors.New("odd")
	whole := func(_ context.Context, after int64) (int64, error) { return max(0, min(after+1, 3)%3), nil }
	for name, c := range map[string]struct {
		harm  func([]byte)
		read  Read
		found string
		err   error
	}{
		"whole":          {func([]byte) {}, whole, "", nil},
		"page":           {func(b []byte) { clear(b[4096:]) }, whole, "Tree 2 page 2", nil},
		"header":         {func(b []byte) { copy(b, "text") }, whole, "not a database", nil},
		"can't be read":  {func([]byte) {}, func(context.Context, int64) (int64, error) { return 0, odd }, "", odd},
		"event is wrong": {func([]byte) {}, nil, "1 events can't be read", nil},
	} {
		path := filepath.Join(t.TempDir(), "x.db")
		db, err := database.Open(path, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Script(t.Context(), "CREATE TABLE a (n); INSERT INTO a VALUES (1)"), db.Close()); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		c.harm(b)
		if err := os.WriteFile(path, b, 0o600); err != nil { //nolint:gosec // the test's own
			t.Fatal(err)
		}
		l := NewLedger(zerolog.Nop())
		if c.read == nil {
			c.read = func(context.Context, int64) (int64, error) { l.Unreadable(1, odd); return 0, nil }
		}
		pool := database.NewPool(func() (*database.Conn, error) { return database.Open(path, "&mode=ro") })
		findings, err := l.Check(t.Context(), pool, c.read)
		if !errors.Is(err, c.err) || (len(findings) > 0) != (c.found != "") || !strings.Contains(strings.Join(findings, "\n"), c.found) {
			t.Errorf("%s: %q, %v", name, findings, err)
		}
		if d := l.Damage(); err == nil && !slices.Equal(d.Findings, findings) {
			t.Errorf("%s: %q are kept", name, d.Findings)
		}
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNewest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, NewestName)
	if _, ok, err := ReadNewest(path); ok || err != nil {
		t.Errorf("no file: %v, %v", ok, err)
	}
	synced := make(chan struct{}, 9)
	var written []byte
	n, err := OpenNewest(path, "abcdefgh", func(b []byte) {
		if b == nil {
			synced <- struct{}{}
			return
		}
		written = bytes.Clone(b)
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(3) {
		n.Write(i+1, 10*i, 9*i)
		got, ok, err := ReadNewest(path)
		if want := (Newest{Seq: i + 1, Number: 10 * i, Name: "abcdefgh", Synced: 9 * i}); !ok || err != nil || got != want {
			t.Errorf("%+v, %v, %v", got, ok, err)
		}
	}
	if err := n.Close(true); err != nil {
		t.Fatal(err)
	}
	<-synced
	got, ok, err := ReadNewest(path)
	if b, rerr := os.ReadFile(path); !ok || !got.Closed || got.Seq != 3 || err != nil || rerr != nil || !bytes.Equal(b, written) {
		t.Errorf("%+v, %v, %v: %q, noted %q", got, ok, err, b, written)
	}
	if err := n.Close(false); err == nil {
		t.Error("closed twice")
	}
	for text, want := range map[string]bool{"": false, "12 13": false, "x": false, "1 2 abc open\n": true, "1 2 abc open 3": true} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := ReadNewest(path); ok != want || err != nil {
			t.Errorf("%q: %v, %v", text, ok, err)
		}
	}
	for _, path := range []string{dir, filepath.Join(path, "below a file")} {
		if _, _, err := ReadNewest(path); err == nil {
			t.Errorf("read %s", path)
		}
		if _, err := OpenNewest(path, "a", nil); err == nil {
			t.Errorf("opened %s", path)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const same, number = "samename", 40
	for name, c := range map[string]struct {
		said    Newest
		ok      bool
		name    string
		last    int64
		renamed bool
		want    Verdict
	}{
		"new":                {Newest{}, false, "", 0, true, Verdict{}},
		"as it was":          {Newest{Seq: 5, Name: same}, true, same, 5, false, Verdict{Next: 5}},
		"the file is behind": {Newest{Seq: 4, Name: same}, true, same, 5, false, Verdict{Next: 5}},
		"the file is lost":   {Newest{}, false, same, 5, true, Verdict{Next: 5}},
		"both are empty":     {Newest{}, false, same, 0, false, Verdict{}},
		"events are lost": {Newest{Seq: 7, Name: same}, true, same, 5, true,
			Verdict{Next: 7 + SkipAtLeast, Lost: 2, Skip: Range{6, 7 + SkipAtLeast}}},
		"another journal": {Newest{Seq: 3, Name: "other"}, true, same, 5, true,
			Verdict{Next: 5 + SkipAtLeast, Skip: Range{6, 5 + SkipAtLeast}}},
		"commands are lost": {Newest{Seq: 5, Number: 99, Name: same, Synced: number + 3}, true, same, 5, true,
			Verdict{Next: 5 + SkipAtLeast, Commands: 3, Skip: Range{6, 5 + SkipAtLeast}}},
		"commands that weren't synced are lost": {Newest{Seq: 5, Number: 99, Name: same, Synced: number}, true, same, 5, false, Verdict{Next: 5}},
		"nothing was stored yet":                {Newest{Name: "other"}, true, "", 0, true, Verdict{}},
		"everything is lost": {Newest{Seq: 7, Name: "other", Synced: number}, true, "", 0, true,
			Verdict{Next: 7 + SkipAtLeast, Lost: 7, Skip: Range{1, 7 + SkipAtLeast}}},
		"everything is lost, no event": {Newest{Name: "other", Synced: number + 9}, true, "", 0, true, Verdict{Commands: 9}},
	} {
		v := Judge(c.said, c.ok, c.name, c.last, number)
		if (v.Name != c.name) != c.renamed || len(v.Name) != 8 {
			t.Errorf("%s: called %q", name, v.Name)
		}
		var log bytes.Buffer
		v.Log(zerolog.New(&log), c.last)
		if strings.Contains(log.String(), "lost_at_least") != (c.want.Lost > 0) || strings.Contains(log.String(), "lost_commands") != (c.want.Commands > 0) || !strings.Contains(log.String(), v.Name) {
			t.Errorf("%s: %s", name, log.String())
		}
		if v.Name = ""; v != c.want {
			t.Errorf("%s: %+v, want %+v", name, v, c.want)
		}
	}
}
