package journal_test

import (
	"testing"

	"kazoohook/internal/journal"
	"kazoohook/internal/journal/journaltest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, func(t *testing.T, dir string) journaltest.Log {
		t.Helper()
		j, err := journal.Open(t.Context(), journal.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return j
	})
}
