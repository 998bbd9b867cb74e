package trial

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// onwards are the destinations of one trial.
type onwards struct {
	list []*destination
	dir  string
}

func newOnwards(ctx context.Context, o Options, dir string) (*onwards, error) {
	all := []mode{fails, hangs, vanished, slow}
	w := &onwards{dir: dir, list: []*destination{
		{name: "all-order", order: "all", sorts: []mode{vanished, slow, hangs}},
		{name: "by-object", order: "object", sorts: all},
		{name: "poisoned", order: "object", poison: true, sorts: []mode{takes, slow}},
		{name: "unordered", order: "none", sorts: all},
		{name: "script", order: "object", sorts: []mode{fails, hangs}, dir: filepath.Join(dir, "script")},
	}}
	for i, d := range w.list {
		d.mode = takes
		d.random = rand.New(rand.NewPCG(o.Seed, uint64(i))) //nolint:gosec // repeatable on purpose
		if d.dir != "" {
			if err := os.MkdirAll(d.dir, 0o700); err != nil {
				return nil, err
			}
			continue
		}
		if err := d.listen(ctx); err != nil {
			return nil, err
		}
	}
	if o.Brokers {
		if err := w.startBrokers(ctx, o); err != nil {
			w.close()
			return nil, err
		}
	}
	if err := w.configure(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// disturb makes the destinations fail, hang, vanish and return until the time is
// over; then they accept everything.
func (w *onwards) disturb(ctx context.Context, o Options, count func(Step)) error {
	var group sync.WaitGroup
	errs := make(chan error, len(w.list))
	until := time.Now().Add(o.For)
	for _, d := range w.list {
		group.Go(func() {
			errs <- func() error {
				random := rand.New(rand.NewPCG(o.Seed, uint64(len(d.name)))) //nolint:gosec // repeatable on purpose
				for time.Now().Before(until) {
					if !Sleep(ctx, min(between(random, o.Pause/8, o.Pause), time.Until(until))) {
						break
					}
					m := d.sorts[random.IntN(len(d.sorts))]
					count(Step{Kind: Onward, Mode: m})
					if err := d.set(ctx, m); err != nil {
						return err
					}
					Sleep(ctx, between(random, o.Pause/8, o.Pause/2))
					if err := d.set(ctx, takes); err != nil {
						return err
					}
				}
				return nil
			}()
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// file is the receiver's configuration.
func (w *onwards) file() string { return filepath.Join(w.dir, "kazoohook.yaml") }

// configure writes the file. The retries last longer than any fault, except for the
// poisoned destination.
func (w *onwards) configure() error {
	b := &strings.Builder{}
	b.WriteString("destinations:\n")
	for _, d := range w.list {
		retry := strings.TrimSuffix(strings.Repeat("300ms, ", 90), ", ")
		if d.poison {
			retry = "200ms, 500ms"
		}
		fmt.Fprintf(b, "  %s:\n    start: beginning\n    order: %s\n    retry: [%s]\n", d.name, d.order, retry)
		if d.broker != nil {
			fmt.Fprintf(b, "    timeout: %s\n    concurrency: 16\n    %s\n", destinationTimeout, strings.Join(d.broker.settings(), "\n    "))
			continue
		}
		if d.dir != "" {
			quoted := func(s string) string { q, _ := json.Marshal(s); return string(q) }
			fmt.Fprintf(b, "    type: exec\n    timeout: 5s\n    concurrency: 2\n    command: [/bin/sh, -c, %s, %s]\n", quoted(script), quoted(d.dir))
			continue
		}
		fmt.Fprintf(b, "    type: http\n    timeout: %s\n    concurrency: 16\n    url: http://%s/\n", destinationTimeout, d.addr)
	}
	return os.WriteFile(w.file(), []byte(b.String()), 0o600)
}

func (w *onwards) close() {
	for _, d := range w.list {
		d.mu.Lock()
		if d.server != nil {
			_ = d.server.Close()
		}
		if d.host != nil {
			d.host.close()
		}
		d.mu.Unlock()
	}
}
