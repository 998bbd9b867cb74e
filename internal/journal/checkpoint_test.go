package journal

import (
	"os"
	"testing"

	"kazoohook/internal/event"
)

// The log of recent changes starts over again and again, also under a load that
// never pauses, and so stays as small as it is copied.
func TestLogStartsOver(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	j := openTest(t, Options{Dir: dir})
	n := int64(30_000)
	if slow {
		n = 6000
	}
	<-newRange(n).each(8, func(i int64) { mustAppend(t, j, sample(i, event.Edited)) })
	st, err := os.Stat(j.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if frames := st.Size() / (pageSize + frameHeader); frames > checkpointHard {
		t.Errorf("the log has grown to %d frames", frames)
	}
	if st, err := os.Stat(j.path); err != nil || st.Size() < 100*pageSize {
		t.Errorf("nothing was copied into the database: %v", err)
	}
}

// A merge shares the transactions of the appends that come meanwhile.
func TestMergeSharesSyncs(t *testing.T) {
	t.Parallel()
	j := openTest(t, Options{Dir: memoryDir(t), mergeAt: 1000})
	const n = 3000
	for i := range int64(n) {
		mustAppend(t, j, sample(i, event.Edited))
	}
	st, err := j.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Unindexed == n {
		t.Error("nothing was merged")
	}
	if own := st.Transactions - n; own > n/50 {
		t.Errorf("%d transactions without an append", own)
	}
}
