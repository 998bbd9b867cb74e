package requests

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"kazoohook/internal/datadir"
)

// FileName is the file's name in the data directory.
const FileName = "requests.jsonl"

// Unfinished is added to the file's name until it is complete.
const Unfinished = ".new"

const (
	saveEvery = time.Minute
	// longestLine bounds the lines that are read; written ones are shorter.
	longestLine = 1 << 20
)

// head is the file's first line.
type head struct {
	Journal string `json:"journal"`
}

// Run writes the file once a minute and when ctx ends.
func (r *Recent) Run(ctx context.Context) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	failed := false
	for {
		ended := false
		select {
		case <-ctx.Done():
			ended = true
		case <-tick.C:
		}
		err := r.Save()
		if err != nil && !failed {
			r.opt.Log.Warn().Err(err).Msg("the details of recent requests could not be written: a restart forgets them; events are not affected")
		}
		if failed = err != nil; ended {
			return nil
		}
	}
}

// Save writes the file if it has changed.
func (r *Recent) Save() error {
	r.saving.Lock()
	defer r.saving.Unlock()
	r.mu.Lock()
	list := slices.Concat(r.first.list, r.duplicates.list)
	changed := r.changed
	r.changed = false
	r.mu.Unlock()
	if !changed || r.opt.Path == "" {
		return nil
	}
	if err := r.write(list); err != nil {
		r.mu.Lock()
		r.changed = true
		r.mu.Unlock()
		return fmt.Errorf("write %s: %w", r.opt.Path, err)
	}
	return nil
}

// write replaces the file atomically.
func (r *Recent) write(list []Request) (err error) {
	temporary := r.opt.Path + Unfinished
	f, err := datadir.Open(temporary)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temporary))
		}
	}()
	w := bufio.NewWriter(f)
	oldest := r.oldest()
	err = f.Truncate(0) // of a process that was killed
	if err == nil {
		err = r.line(w, head{r.opt.Journal})
	}
	for i := range list {
		if err == nil && list[i].At.After(oldest) {
			err = r.line(w, &list[i])
		}
	}
	if err := errors.Join(err, w.Flush(), f.Close()); err != nil {
		return err
	}
	return os.Rename(temporary, r.opt.Path)
}

func (r *Recent) line(w *bufio.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if r.opt.Mask != nil {
		b = r.opt.Mask(b)
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// oldest returns the time of the oldest requests that the file keeps.
func (r *Recent) oldest() time.Time {
	if r.opt.MaxAge <= 0 {
		return time.Time{}
	}
	return r.opt.Now().Add(-r.opt.MaxAge)
}

// load reads the file. It skips what can't be read.
func (r *Recent) load() {
	f, err := os.Open(r.opt.Path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.opt.Log.Warn().Err(err).Msg("the details of recent requests could not be read: they are forgotten; events are not affected")
		}
		return
	}
	defer func() { _ = f.Close() }() // only read from
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, longestLine)
	var h head
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &h) != nil || h.Journal != r.opt.Journal {
		return
	}
	oldest := r.oldest()
	for lines.Scan() {
		q := Request{}
		if json.Unmarshal(bytes.TrimSpace(lines.Bytes()), &q) == nil && q.Seq > 0 && q.At.After(oldest) {
			r.add(q)
		}
	}
}
