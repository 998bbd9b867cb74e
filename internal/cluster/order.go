package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"kazoohook/internal/datadir"
)

// order is stored beside the server's files while a log is made, so that the log is
// made only once even if processes die meanwhile.
type order struct {
	Epoch   string `json:"epoch"`   // of the log to be made; "": no order
	Founder string `json:"founder"` // node from whose journal it is made
	// Anew: the server's files belong to an earlier log and are removed first. Rename:
	// acknowledged events may be missing, so the journal gets a new name.
	Anew   bool `json:"anew,omitempty"`
	Rename bool `json:"rename,omitempty"`
	// All: the log is made once every node has begun again to carry the order out.
	All bool `json:"all,omitempty"`
	// Go: the order is carried out. Without it, not all nodes may have the order.
	Go bool `json:"go,omitempty"`
}

const orderName = "order.json"

func readOrder(dir string) (o order, err error) {
	err = readFile(dir, orderName, &o)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return o, err
}

func (o order) write(dir string) error { return writeFile(dir, orderName, o) }

// done removes the order.
func (o order) done(dir string) error {
	err := os.Remove(filepath.Join(dir, orderName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, datadir.SyncDir(dir))
}

// clearServer removes the server's files and the node's identity, so that the node
// returns as another server. The order stays. The identity is removed first: a crash in
// between must not leave a server that has lost its files and keeps its name.
func clearServer(dir string) error {
	err := os.RemoveAll(filepath.Join(dir, identityName))
	if err == nil {
		err = datadir.SyncDir(dir)
	}
	if err == nil {
		err = os.RemoveAll(filepath.Join(dir, natsName))
	}
	if err != nil {
		return fmt.Errorf("remove the files of an earlier log: %w", err)
	}
	return datadir.SyncDir(dir)
}

// removePartial removes the files that a killed process had not finished. A copy of a
// journal may be large.
func removePartial(dir string) error {
	files, err := os.ReadDir(dir)
	for _, f := range files {
		if strings.Contains(f.Name(), ".partial") {
			err = errors.Join(err, os.Remove(filepath.Join(dir, f.Name())))
		}
	}
	return err
}

func readFile(dir, name string, value any) error {
	path := filepath.Join(dir, name)
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, value)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// writeFile stores a value so that a power cut leaves the old or the new file, whole.
func writeFile(dir, name string, value any) error {
	data, err := json.Marshal(value)
	if err == nil {
		err = datadir.MakeDir(dir)
	}
	if err == nil {
		err = datadir.Write(filepath.Join(dir, name), append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", filepath.Join(dir, name), err)
	}
	return nil
}
