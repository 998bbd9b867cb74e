package journal

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kazoohook/internal/event"
)

const crashDir = "KAZOOHOOK_JOURNAL_CRASH_DIR"

// TestMain also runs the process that TestKilled kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := appendUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) //nolint:forbidigo // the child ends here
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// appendUntilKilled appends from several callers and prints what was
// acknowledged: number, id and object.
func appendUntilKilled(dir string) error {
	j, err := Open(context.Background(), Options{Dir: dir})
	if err != nil {
		return err
	}
	round, _ := j.Last(context.Background())
	var wg sync.WaitGroup
	for w := range int64(8) {
		wg.Go(func() {
			for i := int64(0); ; i++ {
				action := []event.Action{event.Created, event.Edited, event.Deleted}[i%3]
				r := sample(round<<24|w<<20|i, action)
				a, err := j.Append(context.Background(), r)
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1) //nolint:forbidigo // the child ends here
				}
				j.Acknowledged(r, a, true)
				// A write that fits into a pipe's buffer is complete or missing.
				fmt.Printf("%d %s %s\n", a.Seq, a.ID, r.ObjectID)
			}
		})
	}
	for n := int64(0); ; n++ {
		if err := j.Wait(context.Background(), n*100); err != nil {
			return err
		}
		from, _ := j.Cursor(context.Background(), "c")
		if err := j.MoveCursor(context.Background(), "c", from, n*100); err != nil {
			return err
		}
	}
}

// Whenever the process is killed, all acknowledged events are there, without a gap,
// and no id was ever given to two events.
func TestKilled(t *testing.T) {
	t.Parallel()
	rounds := 20
	if testing.Short() || slow {
		rounds = 6
	}
	dir := t.TempDir()
	type acked struct{ id, object string }
	known := map[int64]acked{}
	rng := rand.New(rand.NewPCG(7, uint64(time.Now().UnixNano()))) //nolint:gosec // random moments
	for range rounds {
		// At any moment after the child has acknowledged an event.
		for line := range killedAfter(t, dir, time.Duration(rng.IntN(60_000))*time.Microsecond) {
			f := strings.Fields(line)
			seq, err := strconv.ParseInt(f[0], 10, 64)
			if err != nil || len(f) != 3 {
				t.Fatalf("child printed %q", line)
			}
			known[seq] = acked{f[1], f[2]}
		}
		j, err := Open(t.Context(), Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		last := int64(0)
		ids := map[string]int64{}
		for {
			page, err := j.Read(t.Context(), last, 1000)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, r := range page {
				if r.Seq != last+1 || ids[r.ID] != 0 {
					t.Fatalf("event %d (%s) follows %d", r.Seq, r.ID, last)
				}
				if a, ok := known[r.Seq]; ok && (a.id != r.ID || a.object != r.ObjectID) {
					t.Fatalf("event %d is %s of %s, was acknowledged as %+v", r.Seq, r.ID, r.ObjectID, a)
				}
				last, ids[r.ID] = r.Seq, r.Seq
				// Events whose acknowledgment was lost count from now on.
				known[r.Seq] = acked{r.ID, r.ObjectID}
			}
		}
		if int64(len(known)) != last {
			t.Fatalf("%d events acknowledged, %d there", len(known), last)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d events survived %d kills", len(known), rounds)
}

// killedAfter runs the child and kills it some time after its first line.
func killedAfter(t *testing.T, dir string, after time.Duration) func(func(string) bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // ourselves
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func(yield func(string) bool) {
		r := bufio.NewReader(out)
		killed := false
		for {
			line, err := r.ReadString('\n')
			if err != nil { // the last line may be cut off
				break
			}
			if !killed {
				killed = true
				time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
			}
			if !yield(line) {
				break
			}
		}
		_, _ = io.Copy(io.Discard, r)
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("child: %v: %s", err, stderr.String())
		}
	}
}
