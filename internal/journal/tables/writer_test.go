package tables

import (
	"fmt"
	"path/filepath"
	"testing"

	"kazoohook/internal/journal/database"
)

// If there are many names, they are forgotten and read again.
func TestManyNames(t *testing.T) {
	t.Parallel()
	c, err := database.Open(filepath.Join(t.TempDir(), "x.db"), "", "synchronous(off)", "journal_mode(memory)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := Migrate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w := NewWriter(c)
	first, err := w.Name(AccountName, "a")
	if err != nil || first == 0 {
		t.Fatal(first, err)
	}
	for i := range int64(maxNames) {
		w.names[nameKey{AccountName, fmt.Sprint("other ", i)}] = -i
	}
	if id, err := w.Name(AccountName, "b"); err != nil || id == first || len(w.names) > 1 {
		t.Errorf("%d, %v, %d are known", id, err, len(w.names))
	}
	if id, err := w.Name(AccountName, "a"); err != nil || id != first {
		t.Errorf("%d instead of %d, %v", id, first, err)
	}
	if id, err := w.Name(EventName, "a"); err != nil || id == first {
		t.Errorf("%d of another kind, %v", id, err)
	}
	w.Forget()
	if id, err := w.Name(AccountName, "a"); err != nil || id != first {
		t.Errorf("%d instead of %d, %v", id, first, err)
	}
	if id, err := w.Name(AccountName, ""); err != nil || id != 0 {
		t.Errorf("%d for nothing, %v", id, err)
	}
}
