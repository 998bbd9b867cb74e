package endurance

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"kazoohook/bench/chaos/trial"
)

// sample has the receiver's figures at one time.
type sample struct {
	At          time.Duration // since the run began
	Life        int           // which process
	Age         time.Duration // since this process was first seen
	Resident    float64       // bytes
	Descriptors float64
	Goroutines  float64
	Disk        float64 // bytes of the data directory, as the file system says
	Objects     float64 // objects that are remembered longer than their events
	Pruned      float64 // events removed in this life
}

// sampler takes samples of the receiver at intervals.
type sampler struct {
	readers *readers
	data    string // directory
	life    func() int
	objects func() int
	start   time.Time

	mu      sync.Mutex
	samples []sample
}

func (s *sampler) run(ctx context.Context, every time.Duration) {
	life, since := 0, time.Time{}
	for trial.Sleep(ctx, every) {
		before := s.life()
		values, err := s.metrics(ctx)
		if err != nil || s.life() != before {
			continue // the receiver is down
		}
		if before != life {
			life, since = before, time.Now()
		}
		x := sample{
			At: time.Since(s.start), Life: life, Age: time.Since(since),
			Resident: values["process_resident_memory_bytes"], Descriptors: values["process_open_fds"], Goroutines: values["go_goroutines"],
			Pruned: values["kazoohook_journal_pruned_events_total"], Disk: float64(directorySize(s.data)), Objects: float64(s.objects()),
		}
		s.mu.Lock()
		s.samples = append(s.samples, x)
		s.mu.Unlock()
	}
}

// metrics reads the metrics without labels.
func (s *sampler) metrics(ctx context.Context) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	resp, err := s.readers.get(ctx, "/metrics", "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("/metrics: %s", resp.Status)
	}
	values := map[string]float64{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			values[name] = v
		}
	}
	return values, lines.Err()
}

func (s *sampler) all() []sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sample(nil), s.samples...)
}

// directorySize adds up the files; one that is removed meanwhile counts as nothing.
func directorySize(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // as said
		}
		if info, err := os.Lstat(path); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
