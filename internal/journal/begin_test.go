package journal

import (
	"testing"

	"kazoohook/internal/journal/integrity"
)

// A node that was killed has no file newest. A new log that is made from its journal, from
// which nothing is missing, has the journal's name. On a single node that file must be there.
func TestBeginsAfterAKill(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ follows, missing, rename bool }{
		"it followed a log, and was killed": {true, true, false},
		"it followed a log, and was closed": {true, false, false},
		"a single node's":                   {false, false, false},
		"a single node's without the file":  {false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Options{Dir: memoryDir(t)}
			with := o
			if c.follows {
				_, err := Begin(t.Context(), o, "e1", "n0", false)
				must(t, err)
				with.Cluster = &Cluster{Node: "n0", Replica: newReplica(), Epoch: "e1"}
			}
			j, err := Open(t.Context(), with)
			must(t, err)
			if c.follows {
				must(t, j.Lead(t.Context(), 1))
			}
			mustAppend(t, j, content(1))
			j.Settle(t.Context())
			was := j.Name()
			must(t, j.Close())
			if c.missing {
				remove(t, o.Dir, integrity.NewestName)
			}
			s, err := Begin(t.Context(), o, "e2", "n0", false)
			must(t, err)
			with.Cluster = &Cluster{Node: "n0", Replica: newReplica(), Epoch: "e2"}
			j, err = Open(t.Context(), with)
			must(t, err)
			if (j.Name() != was) != c.rename || j.Name() != s.Journal || j.Damage().Err() != nil {
				t.Errorf("it was %s and is %s: %+v, %v", was, j.Name(), s, j.Damage().Err())
			}
			must(t, j.Lead(t.Context(), 1))
			if a := mustAppend(t, j, content(2)); a.Seq != 2 && a.Seq != 0 { // 0: it wasn't applied within applyGrace
				t.Errorf("the next event is %+v", a)
			}
			must(t, j.Close())
		})
	}
}
