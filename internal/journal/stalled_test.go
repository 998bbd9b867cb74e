package journal

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"kazoohook/internal/event"
)

// TestStalledDisk: Health says so when a transaction doesn't end, while others wait for
// it, and is nil again as soon as the disk answers.
func TestStalledDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var hang chan struct{} // nil: the disk answers; written while nothing is appended
		j := openTest(t, Options{Dir: dir, applied: func(command) {
			if hang != nil {
				<-hang
			}
		}})
		<-time.After(time.Minute)
		mustAppend(t, j, sample(1, event.Deleted))
		if err := j.Health(); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute) // idle is not stalled
		hang = make(chan struct{})
		ended := make(chan error, 2)
		for n := range int64(2) {
			go func() {
				_, err := j.Append(t.Context(), sample(2+n, event.Deleted))
				ended <- err
			}()
			synctest.Wait()
		}
		if err := j.Health(); err != nil {
			t.Errorf("at once: %v", err)
		}
		<-time.After(stalledAfter)
		if err := j.Health(); !errors.Is(err, ErrStalled) {
			t.Errorf("after %s: %v", stalledAfter, err)
		}
		if s, err := j.Stats(t.Context()); err != nil || s.Available || s.Queued != 1 {
			t.Errorf("%+v, %v", s, err)
		}
		close(hang)
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if err := j.Health(); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
}
