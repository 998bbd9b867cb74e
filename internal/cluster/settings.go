package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"kazoohook/internal/journal"
)

// settingsKey is the key of the cluster's settings in the log's state.
const settingsKey = "cluster/settings"

// hashed replaces each value by a hash, so that no value is shown.
func hashed(settings map[string]string) map[string]string {
	h := make(map[string]string, len(settings))
	for name, value := range settings {
		sum := sha256.Sum256([]byte(name + "\x00" + value))
		h[name] = hex.EncodeToString(sum[:8])
	}
	return h
}

// differing names the settings that are not the same in a and b, sorted.
func differing(a, b map[string]string) (list []string) {
	for name, hash := range a {
		if other, ok := b[name]; !ok || other != hash {
			list = append(list, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// ballot is the result of comparing this node's settings with the cluster's.
type ballot int

const (
	ballotSame   ballot = iota // this node may lead
	ballotAdopt                // this node's settings become the cluster's
	ballotDiffer               // this node may not lead
)

// judgeSettings compares this node's settings with the cluster's. It is asked while
// nobody leads. If a quorum is connected and all connected nodes have the same new
// settings, these become the cluster's. So settings can be changed one node at a time.
func judgeSettings(size int, own, agreed map[string]string, others map[string]view) ballot {
	if agreed == nil || maps.Equal(own, agreed) {
		if agreed == nil {
			return ballotAdopt
		}
		return ballotSame
	}
	if len(others)+1 < quorum(size) {
		return ballotDiffer
	}
	for _, v := range others {
		if !maps.Equal(v.Settings, own) {
			return ballotDiffer
		}
	}
	return ballotAdopt
}

// agree reports whether this node's settings let it lead. It first makes them the
// cluster's if judgeSettings says so.
func (n *Node) agree(ctx context.Context, j *journal.Journal) bool {
	agreed, err := readSettings(ctx, j)
	if err != nil {
		return false
	}
	n.mu.Lock()
	own := n.settings
	n.mu.Unlock()
	switch judgeSettings(n.o.Size, own, agreed, n.others()) {
	case ballotAdopt:
		data, err := json.Marshal(own)
		if err == nil {
			err = j.Keep(ctx, settingsKey, string(data))
		}
		if err != nil {
			return false
		}
		if changed := differing(own, agreed); agreed != nil {
			n.o.Log.Info().Strs("settings", changed).Msg("all connected nodes have the same new settings: they are the cluster's now")
		}
		return true
	case ballotSame:
		return true
	case ballotDiffer:
	}
	return false
}

func readSettings(ctx context.Context, j *journal.Journal) (settings map[string]string, err error) {
	text, err := j.State(ctx, settingsKey)
	if err != nil || text == "" {
		return nil, err
	}
	err = json.Unmarshal([]byte(text), &settings)
	return settings, err
}

// settingsGrace is how long a leader whose settings changed by a reload goes on
// leading: the other nodes may be about to reload theirs too.
const settingsGrace = 30 * time.Second

// compareSettings records which settings of this node differ from the cluster's. If a
// reload changed a leader's settings, they become the cluster's once all other
// connected nodes have them. Otherwise it stops leading after settingsGrace.
func (n *Node) compareSettings(ctx context.Context, j *journal.Journal) {
	agreed, err := readSettings(ctx, j)
	if err != nil || n.Diverged() != nil {
		return
	}
	n.mu.Lock()
	n.agreed = agreed
	own, state := n.settings, n.state
	n.mu.Unlock()
	switch differ := differing(own, agreed); {
	case state == StateLost: // a lost log is worse than different settings
	case agreed == nil || len(differ) == 0:
		n.differs = time.Time{}
		if state == StateSettings {
			n.say(StateReady, "")
		}
	case !n.election.leads():
		n.say(StateSettings, differText(differ)+"it takes requests and does not lead")
	case n.agree(ctx, j):
	case n.differs.IsZero():
		n.differs = time.Now()
		n.say(StateSettings, differText(differ)+"it leads for "+settingsGrace.String()+" more, unless the other nodes get them, too")
	case time.Since(n.differs) >= settingsGrace:
		n.election.yield()
		n.resign()
	}
}

func differText(differ []string) string {
	return "this node's settings differ from the cluster's (" + strings.Join(differ, ", ") + "): "
}
