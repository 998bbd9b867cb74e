package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"kazoohook/internal/datadir"
	"kazoohook/internal/journal/archive"
)

const (
	// partSize is the size of the parts in which a copy is fetched.
	partSize = 512 << 10
	// copyWait bounds the wait for one answer of the donor.
	copyWait = 10 * time.Second
	// copyKept is how long a copy is kept after the last request for it.
	copyKept = 2 * time.Minute
)

// copyRequest asks for a copy, for its state, or for a part of it.
type copyRequest struct {
	Server string `json:"server"`        // the server that asks
	ID     string `json:"id,omitempty"`  // of the copy; "": make one
	Offset int64  `json:"off,omitempty"` // of the part; -1: no part, only the copy's state
	Done   bool   `json:"done,omitempty"`
}

// copyAnswer describes the copy. A part of it is in the message's body.
type copyAnswer struct {
	ID    string `json:"id"`
	Ready bool   `json:"ready"`
	Size  int64  `json:"size"`
	Sum   string `json:"sum"` // SHA-256 in hex, of the part or of the whole copy
	Error string `json:"error,omitempty"`
}

const copyHeader = "Kazoohook-Copy"

// donor gives other nodes copies of this node's journal.
type donor struct {
	n *Node

	mu     sync.Mutex
	copies map[string]*journalCopy // by the server that asked
	work   sync.WaitGroup
}

// journalCopy is a copy for one node.
type journalCopy struct {
	id       string
	path     string
	position uint64 // the copy goes on from at least this position
	used     time.Time
	ready    bool
	done     bool // it was fetched completely
	size     int64
	sum      string
	err      error
}

func newDonor(n *Node) *donor { return &donor{n: n, copies: map[string]*journalCopy{}} }

// held returns the lowest position that a copy must go on from, 0 if there is no copy.
func (d *donor) held() (lowest uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for server, c := range d.copies {
		v := d.n.peers.seen(server)
		over := time.Since(c.used) > copyKept && (c.ready || c.err != nil)
		if over || c.done && v.Open && v.Position >= c.position {
			_ = os.Remove(c.path)
			delete(d.copies, server)
			continue
		}
		if lowest == 0 || c.position < lowest {
			lowest = c.position
		}
	}
	return lowest
}

func (d *donor) close() {
	d.work.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.copies {
		_ = os.Remove(c.path)
	}
	clear(d.copies)
}

// answer answers a request for a copy.
func (d *donor) answer(ctx context.Context, m *nats.Msg) {
	var r copyRequest
	var a copyAnswer
	var part []byte
	err := json.Unmarshal(m.Data, &r)
	if err == nil {
		a, part, err = d.ask(ctx, r)
	}
	if err != nil {
		a = copyAnswer{Error: err.Error()}
	}
	head, err := json.Marshal(a)
	if err != nil {
		return
	}
	_ = m.RespondMsg(&nats.Msg{Header: nats.Header{copyHeader: []string{string(head)}}, Data: part})
}

func (d *donor) ask(ctx context.Context, r copyRequest) (copyAnswer, []byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.copies[r.Server]
	switch {
	case r.Done:
		if c != nil && c.ready { // the log keeps what the copy needs until its node follows
			_ = os.Remove(c.path)
			c.done, c.used = true, time.Now()
		}
		return copyAnswer{}, nil, nil
	case r.ID == "":
		if c != nil && (c.ready || c.err != nil) {
			_ = os.Remove(c.path)
			c = nil
		}
		if c == nil {
			var err error
			if c, err = d.begin(ctx, r.Server); err != nil {
				return copyAnswer{}, nil, err
			}
		}
	case c == nil || c.id != r.ID:
		return copyAnswer{}, nil, errors.New("this copy is no longer kept")
	}
	c.used = time.Now()
	if c.err != nil {
		return copyAnswer{}, nil, c.err
	}
	if r.ID == "" || !c.ready || r.Offset < 0 || r.Offset >= c.size {
		return copyAnswer{ID: c.id, Ready: c.ready, Size: c.size, Sum: c.sum}, nil, nil
	}
	part, err := readPart(c.path, r.Offset)
	sum := sha256.Sum256(part)
	return copyAnswer{ID: c.id, Ready: true, Size: c.size, Sum: hex.EncodeToString(sum[:])}, part, err
}

// begin starts to make a copy in a goroutine.
func (d *donor) begin(ctx context.Context, server string) (*journalCopy, error) {
	j := d.n.journal.Load()
	if j == nil || d.n.Diverged() != nil {
		return nil, errors.New("this node has no journal to copy")
	}
	id := newEpoch()
	c := &journalCopy{id: id, path: filepath.Join(d.n.o.dir(), "copy-"+id+".partial"), position: j.Cluster().Position, used: time.Now()}
	d.copies[server] = c
	d.work.Go(func() {
		err := archive.Copy(ctx, d.n.o.Dir, c.path)
		size, sum, serr := sumOf(c.path)
		d.mu.Lock()
		defer d.mu.Unlock()
		c.size, c.sum, c.err, c.ready = size, sum, errors.Join(err, serr), err == nil && serr == nil
		c.used = time.Now()
	})
	return c, nil
}

func readPart(path string, offset int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	return io.ReadAll(io.NewSectionReader(f, offset, partSize))
}

func sumOf(path string) (size int64, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = f.Close() }() // only read from
	h := sha256.New()
	size, err = io.Copy(h, f)
	return size, hex.EncodeToString(h.Sum(nil)), err
}

// fetch replaces this node's journal with a copy of another node's.
func (n *Node) fetch(ctx context.Context, from view) error {
	start := time.Now()
	subject := nodeSubject(from.Server, "copy")
	path := filepath.Join(n.o.dir(), "fetched.partial")
	defer func() { _ = os.Remove(path) }()
	a, err := n.copyReady(ctx, subject)
	if err == nil {
		err = n.fetchParts(ctx, subject, a, path)
	}
	if err == nil {
		var sum string
		if _, sum, err = sumOf(path); err == nil && sum != a.Sum {
			err = errors.New("the whole isn't what was sent")
		}
	}
	if err == nil {
		var other bool
		if other, err = n.contradicts(ctx, path, from); other {
			return errors.New(n.replace(fmt.Sprintf("the cluster's log has other entries than node %s has applied: %s", n.o.Node, advice)))
		}
	}
	if err == nil {
		err = archive.Adopt(ctx, path, n.o.Dir)
	}
	if err != nil {
		return fmt.Errorf("copy the journal from node %s: %w", from.Node, err)
	}
	_, _, _ = n.askCopy(ctx, subject, copyRequest{Server: n.id.server(), ID: a.ID, Done: true})
	n.o.Log.Info().Str("from", from.Node).Int64("bytes", a.Size).Dur("took_ms", time.Since(start)).Msg("journal copied from another node")
	return n.look(ctx)
}

// contradicts reports whether a copy shows that the log was replaced: it has other events
// than this node's journal. A journal of another log may have others, and so may one that
// the nodes have found to differ: they would have stopped if it were the right one.
func (n *Node) contradicts(ctx context.Context, path string, from view) (bool, error) {
	if h := n.known(); from.Epoch != h.Epoch || h.Disputed > 0 {
		return false, nil
	}
	return archive.Contradicts(ctx, path, n.o.Dir)
}

// copyReady asks for a copy and waits until it is made.
func (n *Node) copyReady(ctx context.Context, subject string) (a copyAnswer, err error) {
	for {
		if a, _, err = n.askCopy(ctx, subject, copyRequest{Server: n.id.server(), ID: a.ID, Offset: -1}); err != nil || a.Ready {
			return a, err
		}
		pause(ctx, 100*time.Millisecond)
		if ctx.Err() != nil {
			return a, ctx.Err()
		}
	}
}

func (n *Node) fetchParts(ctx context.Context, subject string, a copyAnswer, path string) (err error) {
	f, err := datadir.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(0); err != nil { // of a fetch that was interrupted
		return err
	}
	for offset := int64(0); offset < a.Size; {
		head, part, err := n.askCopy(ctx, subject, copyRequest{Server: n.id.server(), ID: a.ID, Offset: offset})
		if err != nil {
			return err
		}
		if sum := sha256.Sum256(part); len(part) == 0 || !strings.EqualFold(hex.EncodeToString(sum[:]), head.Sum) {
			return fmt.Errorf("the part at byte %d isn't what was sent", offset)
		}
		if _, err := io.Copy(f, bytes.NewReader(part)); err != nil {
			return err
		}
		offset += int64(len(part))
	}
	return f.Sync()
}

func (n *Node) askCopy(ctx context.Context, subject string, r copyRequest) (a copyAnswer, part []byte, err error) {
	data, err := json.Marshal(r)
	if err != nil {
		return a, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, copyWait)
	defer cancel()
	m, err := n.embedded.app.RequestWithContext(ctx, subject, data)
	if err != nil {
		return a, nil, err
	}
	if err := json.Unmarshal([]byte(m.Header.Get(copyHeader)), &a); err != nil {
		return a, nil, err
	}
	if a.Error != "" {
		return a, nil, errors.New(a.Error)
	}
	return a, m.Data, nil
}
