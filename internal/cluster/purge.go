package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"kazoohook/internal/datadir"
	"kazoohook/internal/journal"
)

const (
	purgeEvery = 10 * time.Second
	// purgeLeast is the smallest number of entries that is purged.
	purgeLeast = 1000
	syncEvery  = 3 * time.Second
	// A node whose server stopped writing waits reviveAfter seconds, so that it doesn't
	// restart again and again, and until roomLeast bytes can be written.
	reviveAfter = 5
	roomLeast   = 16 << 20
)

// memberSeen is what is known of a member when the log is purged.
type memberSeen struct {
	synced uint64        // applied and on disk; 0: unknown
	still  time.Duration // since that last advanced, or was all there was
}

// purgeable returns the position up to which every member has the log on disk. Members
// that have taken nothing for absentAfter, away or connected, don't count. held is the lowest position that copies
// need, 0 if there are none.
func purgeable(seen []memberSeen, held uint64) uint64 {
	var lowest uint64
	any := false
	for _, m := range seen {
		if m.still >= absentAfter {
			continue
		}
		if !any || m.synced < lowest {
			lowest, any = m.synced, true
		}
	}
	if held > 0 && held < lowest {
		lowest = held
	}
	return lowest
}

// purge removes what no node needs. The entry at the lowest needed position stays.
func (n *Node) purge(ctx context.Context, j *journal.Journal, since time.Time) error {
	s := n.stream.Load()
	c := j.Cluster()
	servers := map[string]bool{}
	for _, server := range members(c) {
		servers[server] = true
	}
	var held uint64
	for server, v := range n.peers.alive() {
		if v.Open && v.Epoch == c.Epoch { // it may not be a member yet
			servers[server] = true
		}
		if v.Held > 0 && (held == 0 || v.Held < held) {
			held = v.Held
		}
	}
	var seen []memberSeen
	for server := range servers {
		synced, at := n.peers.advanced(server)
		if at.IsZero() {
			at = since
		}
		seen = append(seen, memberSeen{synced, time.Since(at)})
	}
	upTo := purgeable(seen, held)
	if upTo <= purgeLeast {
		return nil
	}
	l, err := s.state(ctx)
	if err != nil || upTo < l.first+purgeLeast {
		return err
	}
	return s.purge(ctx, upTo)
}

// remember syncs what the journal has applied, and stores what this node knows that the
// log must hold, until ctx ends. The journal itself rarely syncs, because the log has
// everything; so the log must keep entries until they are synced.
func (n *Node) remember(ctx context.Context) {
	kept := n.known()
	for round := 0; ; round++ {
		pause(ctx, time.Second)
		n.revive(ctx)
		if now := n.known(); now != kept && writeFile(n.o.dir(), ackedName, now) == nil {
			kept = now
		}
		if j := n.journal.Load(); j != nil && round%int(syncEvery/time.Second) == 0 {
			if position := j.Cluster().Position; syncLog(n.o.Dir) == nil {
				n.synced.Store(position)
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// revive ends a node whose server no longer writes, so that it starts again: a full
// disk stops the server for good. It waits until there is room again.
func (n *Node) revive(ctx context.Context) {
	if ctx.Err() != nil || n.ending() != nil || n.embedded.server.JetStreamEnabled() {
		return
	}
	if n.off++; n.off == 1 {
		n.o.Log.Error().Str("dir", n.o.dir()).Msg("this node keeps no part of the cluster's log any more: its disk is full, or can't be written")
	}
	if n.off < reviveAfter || room(n.o.dir()) != nil {
		return
	}
	n.fail(fmt.Errorf("%w: its part of the cluster's log can be written again", ErrRestart))
}

// room checks that roomLeast bytes can be written in a directory.
func room(dir string) error {
	f, err := datadir.Temp(filepath.Join(dir, "room"))
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, roomLeast))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

// syncLog syncs SQLite's WAL. What has left the WAL was synced with the database
// before. The database itself isn't opened here: closing it would drop SQLite's locks
// on it.
func syncLog(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, journal.FileName+"-wal"), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
