package registration

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/internal/fakekazoo"
)

// TestRivalsAreTold lets two receivers with one name and different URLs undo each
// other's work.
func TestRivalsAreTold(t *testing.T) {
	t.Parallel()
	c := newCluster(t, fakekazoo.Options{})
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
	warnings := func() int { return strings.Count(said.String(), "somebody else keeps changing") }

	ours()
	for n := range 7 {
		clock.add(time.Minute)
		theirs()
		ours()
		want := 0
		if n >= rivalAfter-1 {
			want = 1 // not at every pass
		}
		if warnings() != want {
			t.Fatalf("after %d times: %d warnings, want %d:\n%s", n+1, warnings(), want, said)
		}
	}
	if s := said.String(); !strings.Contains(s, `"uri":"http://127.0.0.1:2/kazoo/`) || strings.Contains(s, testSecret) {
		t.Errorf("the warning must show the other's URL, but no secret:\n%s", s)
	}
	for range rivalAfter - 1 {
		clock.add(rivalSpan)
		theirs()
		ours()
	}
	if warnings() != 1 {
		t.Error("a warning of changes that come only once an hour")
	}
	theirs()
	ours()
	clock.add(time.Second)
	theirs()
	ours()
	if warnings() != 2 {
		t.Errorf("%d warnings after more changes, want a second one", warnings())
	}
}

// TestRivalsWithOneAddressAreTold: two receivers with one name, URL and secret write each
// its own signing key, or one of them none.
func TestRivalsWithOneAddressAreTold(t *testing.T) {
	t.Parallel()
	for name, theirKeys := range map[string]*Keyring{"another key": testKeys(t, t.TempDir()), "no key": nil} {
		c := newCluster(t, fakekazoo.Options{Version: "5"})
		clock := newClock()
		var said bytes.Buffer
		ours, theirs := reconcilerOptions("http://127.0.0.1:1"), reconcilerOptions("http://127.0.0.1:1")
		ours.Keys, ours.Log, ours.Now = testKeys(t, t.TempDir()), zerolog.New(&said), clock.now
		theirs.Keys = theirKeys
		a, b := NewReconciler(c.client(t), ours), NewReconciler(c.client(t), theirs)
		for n := range rivalAfter + 2 {
			for _, r := range []*Reconciler{b, a} {
				if err := r.RunOnce(t.Context()); err != nil {
					t.Fatal(name, err)
				}
			}
			clock.add(time.Minute)
			want := 0
			if n >= rivalAfter-1 {
				want = 1
			}
			if got := strings.Count(said.String(), "keeps changing our hooks' signing key"); got != want {
				t.Fatalf("%s, after %d times: %d warnings, want %d:\n%s", name, n+1, got, want, &said)
			}
		}
		if s := said.String(); !strings.Contains(s, "hook_key") || strings.Contains(s, testSecret) || strings.Contains(s, string(ours.Keys.Newest())) {
			t.Errorf("%s: the warning must name the file, and no secret:\n%s", name, s)
		}
	}
}
