package integrity

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// UnfinishedName is the name of the file that is in a data directory while a restore
// changes it. It holds the name of the directory to which the replaced files are moved, if any.
const UnfinishedName = "events.db.unfinished"

// Unfinished returns an error if a restore into dir was interrupted: a start would
// make an empty journal, and a new secret that Kazoo's hooks don't have.
func Unfinished(dir string) error {
	path := filepath.Join(dir, UnfinishedName)
	aside, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil
	case err != nil:
		return err
	case len(aside) == 0:
		return fmt.Errorf("a restore into %s was interrupted: run kazoohook restore --replace again, or remove %s to begin without what it restores", dir, path)
	}
	return fmt.Errorf("a restore into %s was interrupted: run kazoohook restore --replace again. What was there before is in %s; to go back to it, move its files to %[1]s and remove %s",
		dir, filepath.Join(dir, filepath.Base(string(aside))), path)
}
