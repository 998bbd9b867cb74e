package server

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestErrorWriterCountsWhatItHeldBack(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	now := time.Unix(1000, 0)
	w := &errorWriter{log: zerolog.New(&b), now: func() time.Time { return now }}
	for range errorsPerMinute + 7 {
		if _, err := w.Write([]byte("boo\n")); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(time.Minute)
	_, _ = w.Write([]byte("boo\n"))
	if n := strings.Count(b.String(), `"detail":"boo"`); n != errorsPerMinute+1 || !strings.Contains(b.String(), `"not_logged":7`) {
		t.Errorf("%d lines:\n%s", n, b.String())
	}
}

func TestFilesAreShared(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files, public, admin int
		challenges           int // 0: there is no listener for them
	}{
		"plenty":              {1 << 20, 2048, 512, 0},
		"just enough":         {2688, 2048, 512, 0},
		"the default":         {1024, 714, 238, 0},
		"a few":               {64, 17, 5, 0},
		"hardly any":          {10, 2, 2, 0},
		"none is said":        {maxFiles(), 2048, 512, 0},
		"plenty, with ACME":   {1 << 20, 2048, 512, 128},
		"default, with ACME":  {1024, 625, 208, 119},
		"a few, with ACME":    {64, 15, 5, 2},
		"hardly any and ACME": {10, 2, 2, 2},
	} {
		if name == "none is said" && c.files < 2688 {
			continue // the machine's own limit
		}
		room := roomFor(c.files)
		if c.challenges > 0 {
			if got := challenges(c.files); got != c.challenges {
				t.Errorf("%s: %d challenges", name, got)
			}
			room -= c.challenges
		}
		if public, admin := share(room, 2048, 512); public != c.public || admin != c.admin {
			t.Errorf("%s: %d files make %d public and %d admin connections", name, c.files, public, admin)
		}
	}
}

// TestWhoIsDisplaced: connections are displaced in the right order.
func TestWhoIsDisplaced(t *testing.T) {
	t.Parallel()
	now := time.Now()
	old, young := now.Add(-time.Hour), now
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	type c struct {
		name                   string
		addr                   netip.Addr
		since                  time.Time
		busy, refused, trusted bool
	}
	for name, tc := range map[string]struct {
		conns []c
		want  string
	}{
		"refused first, however young":                    {[]c{{"idle", a, old, false, false, false}, {"refused", a, young, false, true, false}}, "refused"},
		"trusted last":                                    {[]c{{"trusted", a, old.Add(-time.Hour), false, false, true}, {"idle", a, old, false, false, false}}, "idle"},
		"trusted before nobody":                           {[]c{{"trusted", a, old, false, false, true}, {"busy", a, old, true, false, false}}, "trusted"},
		"not while strangers have their grace":            {[]c{{"trusted", a, old, false, false, true}, {"new", a, young, false, false, false}}, ""},
		"not a smaller peer's in place of one with grace": {[]c{{"b", b, old, false, false, false}, {"a1", a, young, false, false, false}, {"a2", a, young, false, false, false}}, ""},
		"the peer with the most":                          {[]c{{"a1", a, old.Add(time.Minute), false, false, false}, {"b", b, old, false, false, false}, {"a2", a, old.Add(2 * time.Minute), false, false, false}}, "a1"},
		"trusted ones don't count":                        {[]c{{"a1", a, old, false, false, true}, {"a2", a, old, false, false, true}, {"a3", a, old, false, false, false}, {"b1", b, old, false, false, false}, {"b2", b, young, false, false, false}}, "b1"},
		"silent for longest":                              {[]c{{"later", a, old.Add(time.Minute), false, false, false}, {"longest", a, old, false, false, false}}, "longest"},
		"refused but trusted":                             {[]c{{"trusted", a, old, false, true, true}, {"idle", a, old, false, false, false}}, "idle"},
		"all busy":                                        {[]c{{"busy", a, old, true, true, false}}, ""},
	} {
		l := &limited{strangers: map[netip.Addr]int{}}
		names := map[*conn]string{nil: ""}
		for _, given := range tc.conns {
			made := &conn{addr: given.addr}
			made.since.Store(given.since.UnixNano())
			made.busy.Store(given.busy)
			made.refused.Store(given.refused)
			made.trusted.Store(given.trusted)
			l.conns = append(l.conns, made)
			if !given.trusted {
				l.strangers[given.addr]++
			}
			names[made] = given.name
		}
		if got := names[l.victim()]; got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
