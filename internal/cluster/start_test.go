package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"kazoohook/internal/journal"
	"kazoohook/internal/journal/integrity"
)

// TestKilledAtFirstStart leaves a node's directory as a kill may leave it during the
// first start. The next start is that of a node without a journal, and removes what was
// not finished.
func TestKilledAtFirstStart(t *testing.T) {
	t.Parallel()
	for name, left := range map[string][]string{
		"nothing":                     nil,
		"an empty directory":          {"cluster/"},
		"a database without tables":   {"cluster/", journal.FileName},
		"a server without a name":     {"cluster/nats/jetstream/"},
		"files that weren't finished": {"cluster/", "cluster/node.json.1.partial", "cluster/order.json.2.partial", "cluster/copy-a.partial", "cluster/fetched.partial", "cluster/fetched.partial-wal"},
		"a copy that wasn't adopted":  {"cluster/", journal.FileName + ".adopted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, file := range left {
				path := filepath.Join(dir, file)
				err := os.MkdirAll(path, 0o700)
				if file[len(file)-1] != '/' {
					_ = os.Remove(path)
					err = os.WriteFile(path, nil, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			n := &Node{o: Options{Dir: dir, Node: "n1", Log: zerolog.Nop()}}
			if err := n.load(t.Context()); err != nil || !n.self.Empty || n.id.Node != "n1" {
				t.Errorf("%+v, %v", n.self, err)
			}
			if rest, err := filepath.Glob(filepath.Join(dir, "cluster", "*.partial*")); err != nil || len(rest) > 0 {
				t.Errorf("left over: %v, %v", rest, err)
			}
		})
	}
}

// TestAckedBelongsToTheEpoch: what one log must hold says nothing about the
// next one, which a node begins or fetches.
func TestAckedBelongsToTheEpoch(t *testing.T) {
	t.Parallel()
	n := &Node{o: Options{Dir: t.TempDir(), Node: "n1", Log: zerolog.Nop()}, ended: make(chan struct{})}
	begin := func(epoch string) {
		t.Helper()
		if _, err := journal.Begin(t.Context(), journal.Options{Dir: n.o.Dir}, epoch, "", false); err != nil {
			t.Fatal(err)
		}
	}
	begin("e1")
	if err := errors.Join(os.MkdirAll(n.o.dir(), 0o700), writeFile(n.o.dir(), ackedName, had{Epoch: "e1", Position: 16, Replaced: "replaced", Disputed: 2000})); err != nil {
		t.Fatal(err)
	}
	if err := n.load(t.Context()); err != nil || n.known() != (had{Epoch: "e1", Position: 16, Replaced: "replaced", Disputed: 2000}) {
		t.Fatalf("known is %+v, %v", n.known(), err)
	}
	if err := n.look(t.Context()); err != nil || n.known() != (had{Epoch: "e1", Position: 16, Replaced: "replaced"}) {
		t.Errorf("in the same log %+v, %v", n.known(), err)
	}
	n.replace("replaced")
	begin("e2")
	if err := n.look(t.Context()); err != nil || n.known() != (had{Epoch: "e2"}) || n.cut.Load() {
		t.Errorf("in another %+v, %v", n.known(), err)
	}
}

// TestInterruptedRestore: a node whose restore was interrupted has no journal only for
// the moment. It doesn't join as an empty one, and nothing is written.
func TestInterruptedRestore(t *testing.T) {
	t.Parallel()
	o := testOptions(t)[0]
	if err := os.WriteFile(filepath.Join(o.Dir, integrity.UnfinishedName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := Start(t.Context(), o)
	if err == nil {
		_ = n.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "restore --replace again") {
		t.Errorf("it starts with %v", err)
	}
	if files, err := os.ReadDir(o.Dir); err != nil || len(files) != 1 {
		t.Errorf("there is %v, %v", files, err)
	}
}
