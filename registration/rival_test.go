package registration

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/crossbar/crossbartest"
)

// TestRivalsAreTold lets two receivers with one name and different URLs undo each
// other's work.
func TestRivalsAreTold(t *testing.T) {
	t.Parallel()
	c := newCluster(t, crossbartest.Options{})
	clock := newClock()
	receiver := func(url string) (pass func(), log *bytes.Buffer) {
		log = &bytes.Buffer{}
		opts := reconcilerOptions(url)
		opts.Log, opts.Now = zerolog.New(log), clock.now
		r := NewReconciler(c.client(t), opts)
		return func() {
			t.Helper()
			if err := r.RunOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, log
	}
	ours, said := receiver("http://127.0.0.1:1")
	theirs, _ := receiver("http://127.0.0.1:2")
	told := func() int { return strings.Count(said.String(), "somebody else keeps changing") }

	ours()
	for n := range 7 {
		clock.add(time.Minute)
		theirs()
		ours()
		want := 0
		if n >= rivalAfter-1 {
			want = 1 // and not again at every pass
		}
		if told() != want {
			t.Fatalf("after %d times: %d warnings, want %d:\n%s", n+1, told(), want, said)
		}
	}
	if s := said.String(); !strings.Contains(s, `"uri":"http://127.0.0.1:2/kazoo/`) || strings.Contains(s, testSecret) {
		t.Errorf("the warning must tell where the other is, and no secret:\n%s", s)
	}
	for range rivalAfter - 1 {
		clock.add(rivalSpan)
		theirs()
		ours()
	}
	if told() != 1 {
		t.Error("warned of what happens once an hour")
	}
	theirs()
	ours()
	clock.add(time.Second)
	theirs()
	ours()
	if told() != 2 {
		t.Errorf("%d warnings of a new quarrel, want a second one", told())
	}
}
