package trial

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// ClockVariable names, in the environment of a receiver that BuildWithClock built,
// the file with the error of its wall clock, in nanoseconds.
const ClockVariable = "KAZOOHOOK_CHAOS_CLOCK"

// afterMove is the longest time from a step until another node has taken over.
const afterMove = 25 * time.Second

// strike breaks nodes, or the links between them, for a time. While a node is replaced
// nothing else breaks: until it has caught up, only the others hold the acknowledged
// requests.
func (r *run) strike(ctx context.Context, s Step) {
	if s.Kind == Exchange {
		r.faults.Go(func() { r.exchange(ctx, s) })
		return
	}
	if !r.calm.TryRLock() {
		return
	}
	r.report.count(s)
	r.faults.Go(func() {
		defer r.calm.RUnlock()
		from := time.Now()
		r.damage(ctx, s)
		r.wrongMu.Lock()
		defer r.wrongMu.Unlock()
		r.troubles = append(r.troubles, span{from, time.Now().Add(afterMove)})
	})
}

// targets returns the nodes that a step breaks.
func (r *run) targets(ctx context.Context, s Step) []int {
	switch s.Node {
	case AllNodes:
		all := make([]int, len(r.nodes))
		for i := range all {
			all[i] = i
		}
		return all
	case TheLeader:
		return []int{r.leader(ctx)}
	}
	return []int{s.Node - 1}
}

// damage makes a step and undoes it.
func (r *run) damage(ctx context.Context, s Step) {
	var all sync.WaitGroup
	for _, i := range r.targets(ctx, s) {
		n := r.nodes[i]
		all.Go(func() {
			r.logf("%s: %s", n.name, s.Kind)
			switch s.Kind {
			case Kill:
				n.receiver.Signal(ctx, syscall.SIGKILL, s.For)
			case Terminate:
				n.receiver.Signal(ctx, syscall.SIGTERM, s.For)
			case Freeze:
				n.receiver.Freeze(ctx, s.For)
			case Power:
				r.note(n.receiver.While(ctx, syscall.SIGKILL, s.For, func() error { return r.lose(n, s) }))
			case DiskFull:
				r.note(n.full(ctx, s.For))
			case Jump:
				r.note(n.jump(s.Offset))
				Sleep(ctx, s.For)
				r.note(n.jump(0))
			case Roll:
				r.roll(ctx)
			default:
				r.cut(ctx, s, i)
			}
		})
	}
	all.Wait()
}

// lose keeps only what a node synced; in every other step also parts of the rest.
func (r *run) lose(n *node, s Step) error {
	if n.synced == nil {
		return nil
	}
	image := filepath.Join(r.dir, n.name, "image")
	var random *rand.Rand
	if s.At.Milliseconds()%2 == 0 {
		random = rand.New(rand.NewPCG(r.opts.Seed, uint64(s.At))) //nolint:gosec // repeatable on purpose
	}
	if err := n.synced.Image(image, random); err != nil {
		return fmt.Errorf("cut the power of %s: %w", n.name, err)
	}
	defer func() { r.note(os.RemoveAll(image)) }()
	if err := empty(n.disk.dir); err != nil {
		return err
	}
	if err := os.CopyFS(n.disk.dir, os.DirFS(image)); err != nil {
		return err
	}
	return n.synced.Adopt()
}

// full fills a node's disk.
func (n *node) full(ctx context.Context, d time.Duration) error {
	if !n.disk.mounted {
		return nil
	}
	n.diskBad.Store(time.Now().Add(d + 5*time.Second).UnixNano())
	if err := n.disk.fill(); err != nil {
		return err
	}
	Sleep(ctx, d)
	return n.disk.free()
}

// jump sets the error of a node's wall clock.
func (n *node) jump(by time.Duration) error {
	next := n.clock + ".new"
	if err := os.WriteFile(next, []byte(strconv.FormatInt(int64(by), 10)), 0o600); err != nil {
		return err
	}
	return os.Rename(next, n.clock)
}

// cut cuts links of a node, and heals them after the step's time.
func (r *run) cut(ctx context.Context, s Step, i int) {
	var pairs [][2]int
	for j := range r.nodes {
		if j == i || s.Kind == Split && j != s.Other-1 {
			continue
		}
		if s.Kind != Deafen {
			pairs = append(pairs, [2]int{i, j})
		}
		if s.Kind != Mute {
			pairs = append(pairs, [2]int{j, i})
		}
	}
	for _, p := range pairs {
		r.network.Cut(p[0], p[1])
	}
	Sleep(ctx, s.For)
	for _, p := range pairs {
		r.network.Heal(p[0], p[1])
	}
}

// roll restarts one node after the other, as in an upgrade: the next one when the
// previous one is up again.
func (r *run) roll(ctx context.Context) {
	for _, n := range r.nodes {
		lives := n.receiver.Starts()
		n.receiver.Signal(ctx, syscall.SIGTERM, 0)
		r.await(ctx, time.Minute, func() bool { return n.receiver.Starts() > lives && n.whole(ctx, len(r.nodes)) })
	}
}

// exchange replaces a node by one with an empty directory, while the others hold all
// acknowledged requests, and waits until it has caught up.
func (r *run) exchange(ctx context.Context, s Step) {
	r.calm.Lock()
	defer r.calm.Unlock()
	whole := func() bool {
		for _, n := range r.nodes {
			if !n.whole(ctx, len(r.nodes)) {
				return false
			}
		}
		return true
	}
	if !r.await(ctx, time.Minute, whole) {
		r.logf("no node is replaced: the cluster is not whole within a minute")
		return
	}
	from := time.Now()
	i := r.targets(ctx, s)[0]
	n, other := r.nodes[i], r.nodes[(i+1)%len(r.nodes)]
	r.logf("%s is replaced", n.name)
	r.report.count(s)
	err := n.receiver.While(ctx, syscall.SIGKILL, 0, func() error {
		if err := empty(n.data); err != nil || r.opts.Seed%2 == 0 {
			return err // it replaces the node of the same name
		}
		// It is refused while the others still see the node.
		var err error
		r.await(ctx, time.Minute, func() bool {
			_, err = other.receiver.Command(ctx, "cluster", "remove", n.name)
			return err == nil
		})
		return err
	})
	switch {
	case err != nil:
		r.violate("%s could not be replaced: %v", n.name, err)
	case !r.await(ctx, 2*time.Minute, whole):
		state, _ := n.cluster(ctx)
		r.violate("%s was replaced and did not join within 2 minutes: %+v", n.name, state)
	}
	r.logf("%s is replaced after %s", n.name, time.Since(from).Round(time.Millisecond))
	r.wrongMu.Lock()
	defer r.wrongMu.Unlock()
	r.troubles = append(r.troubles, span{from, time.Now().Add(afterMove)})
}

// violate records a violation that was found during the trial.
func (r *run) violate(format string, args ...any) {
	r.logf("VIOLATION: "+format, args...)
	r.wrongMu.Lock()
	defer r.wrongMu.Unlock()
	r.wrong = append(r.wrong, fmt.Sprintf(format, args...))
}
