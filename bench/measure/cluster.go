package measure

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kazoohook/bench/chaos/trial"
	"kazoohook/internal/fakekazoo"
)

// Cluster has the figures of the whole program under full load, as one or more nodes.
// Connections are spread over the nodes, as by a balancer.
type Cluster struct {
	Nodes     int    `json:"nodes"`
	Conns     int    `json:"connections"`
	PerSecond Spread `json:"per_second"`
	OfSingle  Spread `json:"of_single"` // to a single node; ratio within each round
	P50MS     Spread `json:"p50_ms"`
	P99MS     Spread `json:"p99_ms"`
	CPUMicros Spread `json:"cpu_us"`  // processor time of all nodes for each request
	PeakMB    Spread `json:"peak_mb"` // of the node that uses most
}

// TakeOver has the cost of losing the leader (SIGKILL).
type TakeOver struct {
	LeaderMS  Spread `json:"leader_ms"`  // until another node leads
	AnswerMS  Spread `json:"answer_ms"`  // the longest answer of the other nodes, 503 included
	LongestMS Spread `json:"longest_ms"` // the longest wait for a 200 from the other nodes, refused tries included
}

const nodes = 3

// clusterRound is one measurement of a number of nodes with a number of connections.
type clusterRound struct{ perSecond, p50, p99, cpu, peak float64 }

// cluster measures three nodes and a single one.
func (m *measurer) cluster(ctx context.Context) error {
	rounds := map[int]map[int][]clusterRound{1: {}, nodes: {}} // by nodes and connections
	var takeOvers [][3]float64
	for range m.o.Rounds {
		for _, n := range []int{1, nodes} {
			m.o.progress(fmt.Sprintf("under full load, nodes: %d", n))
			err := m.withNodes(ctx, n, func(all []*program) error {
				for _, c := range m.o.Conns {
					r, err := m.loadNodes(ctx, all, c)
					if err != nil {
						return err
					}
					rounds[n][c] = append(rounds[n][c], r)
				}
				if n == 1 {
					return nil
				}
				m.o.progress("the leader is lost")
				t, err := m.takeOver(ctx, all)
				takeOvers = append(takeOvers, t)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	for _, n := range []int{1, nodes} {
		for _, c := range m.o.Conns {
			list := rounds[n][c]
			var ratios []float64
			for i, r := range list {
				ratios = append(ratios, r.perSecond/rounds[1][c][i].perSecond)
			}
			m.report.Cluster = append(m.report.Cluster, Cluster{
				n, c, over(list, func(r clusterRound) float64 { return r.perSecond }), spreadOf(ratios),
				over(list, func(r clusterRound) float64 { return r.p50 }), over(list, func(r clusterRound) float64 { return r.p99 }),
				over(list, func(r clusterRound) float64 { return r.cpu }), over(list, func(r clusterRound) float64 { return r.peak }),
			})
		}
	}
	m.report.TakeOver = append(m.report.TakeOver, TakeOver{
		over(takeOvers, func(t [3]float64) float64 { return t[0] }), over(takeOvers, func(t [3]float64) float64 { return t[1] }),
		over(takeOvers, func(t [3]float64) float64 { return t[2] }),
	})
	return nil
}

// withNodes runs n receivers, as one cluster if there are several, and calls do when
// all are ready.
func (m *measurer) withNodes(ctx context.Context, n int, do func([]*program) error) error {
	kazoo := fakekazoo.New(fakekazoo.Options{})
	defer kazoo.Close()
	api := httptest.NewServer(kazoo.API())
	defer api.Close()
	addrs, err := trial.FreeAddrs(ctx, n)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	all, end := make([]*program, n), make(chan struct{})
	var ready sync.WaitGroup
	ready.Add(n)
	for i := range n {
		environ := []string{"KAZOO_API_URL=" + api.URL}
		if n > 1 {
			environ = append(environ, "CLUSTER_PEERS="+strings.Join(addrs, ","), "CLUSTER_LISTEN="+addrs[i], fmt.Sprintf("CLUSTER_NODE=n%d", i+1), "CLUSTER_SECRET=the secret of this benchmark")
		}
		dir, err := m.fresh()
		if err != nil {
			return err
		}
		g.Go(func() error {
			err := m.withProgram(ctx, dir, func(p *program) error {
				all[i] = p
				ready.Done()
				select {
				case <-end:
				case <-ctx.Done():
				}
				return nil
			}, environ...)
			return err
		})
	}
	g.Go(func() error {
		defer close(end)
		begun := make(chan struct{})
		go func() { ready.Wait(); close(begun) }()
		select {
		case <-begun:
			return do(all)
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return g.Wait()
}

// loadNodes sends as much as the nodes accept, over conns connections.
func (m *measurer) loadNodes(ctx context.Context, all []*program, conns int) (clusterRound, error) {
	var before time.Duration
	for _, p := range all {
		forgetPeak(p.cmd.Process.Pid)
		before += cpuOf(p.cmd.Process.Pid)
	}
	var next int
	l, err := closedLoops(ctx, func() string { next++; return all[next%len(all)].public }, conns, m.o.Span, &m.next)
	if err != nil {
		return clusterRound{}, err
	}
	r := clusterRound{perSecond: l.perSecond(), p50: millis(quantile(l.times, 0.5)), p99: millis(quantile(l.times, 0.99))}
	used := -before
	for _, p := range all {
		_, peak := residentMB(p.cmd.Process.Pid)
		r.peak = max(r.peak, peak)
		used += cpuOf(p.cmd.Process.Pid)
	}
	r.cpu = micros(used / time.Duration(len(l.times)))
	return r, nil
}

// takeOver kills the leader and measures until another leads and takes requests.
func (m *measurer) takeOver(ctx context.Context, cluster []*program) (result [3]float64, err error) {
	old, err := leaderOf(ctx, cluster[0])
	if err != nil {
		return result, err
	}
	var rest []*program
	for i, p := range cluster {
		if fmt.Sprintf("n%d", i+1) != old {
			rest = append(rest, p)
			continue
		}
		if err := p.kill(); err != nil {
			return result, err
		}
	}
	killed := time.Now()
	ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	probing, enough := context.WithCancel(ctx)
	var all sync.WaitGroup
	waits := make([][2]time.Duration, len(rest))
	for i, p := range rest {
		all.Go(func() { waits[i][0], waits[i][1] = m.longestWait(probing, p) })
	}
	for ctx.Err() == nil {
		if now, err := leaderOf(ctx, rest[0]); err == nil && now != "" && now != old {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	result[0] = millis(time.Since(killed))
	err = errors.Join(ctx.Err(), pause(ctx, 2*time.Second))
	enough()
	all.Wait()
	for _, w := range waits {
		result[1], result[2] = max(result[1], millis(w[0])), max(result[2], millis(w[1]))
	}
	return result, err
}

// longestWait sends one request after the other, each until it is answered 200.
func (m *measurer) longestWait(ctx context.Context, p *program) (answer, taken time.Duration) {
	for ctx.Err() == nil {
		n, start := m.next.Add(1), time.Now()
		for {
			try := time.Now()
			_, err := senders(ctx, p.public, 1, func(s *sender) ([]time.Duration, error) { return make([]time.Duration, 1), s.send(n) })
			answer = max(answer, time.Since(try))
			if err == nil || ctx.Err() != nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		taken = max(taken, time.Since(start))
	}
	return answer, taken
}

// leaderOf asks a node which node leads; "" for none.
func leaderOf(ctx context.Context, p *program) (string, error) {
	var body bytes.Buffer
	if _, err := fetch(ctx, "http://"+p.admin+"/api/cluster", &body); err != nil {
		return "", err
	}
	var state struct{ Leader string }
	err := json.Unmarshal(body.Bytes(), &state)
	return state.Leader, err
}
