package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"
	"golang.org/x/sync/errgroup"

	"kazoohook/handlers"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/sink"
	"kazoohook/server"
)

const secret = "bench-secret-0123456789"

// serverReport is what a server tells when it ends.
type serverReport struct {
	Appends, Transactions int64
	ResidentKB            int64 // at its highest
}

// serve runs one variant until it is told to stop. It prints its address first
// and its report last.
func serve(mode string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var report serverReport
	var err error
	switch mode {
	case "bare":
		err = serveBare(ctx)
	case "nojournal":
		err = serveReceiver(ctx, nowhere{}, nil)
	case "full":
		report, err = serveFull(ctx, os.Getenv("BENCH_DIR"))
	default:
		err = fmt.Errorf("unknown variant %q", mode)
	}
	if err != nil {
		return err
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return err
	}
	report.ResidentKB = usage.Maxrss
	return json.NewEncoder(os.Stdout).Encode(report)
}

// serveBare is the least that a receiver does.
func serveBare(ctx context.Context) error {
	r := chi.NewRouter()
	r.Post("/kazoo/{secret}/{hook}", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, "OK\n") // the client may have gone
	})
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	srv := &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// nowhere takes everything and keeps nothing.
type nowhere struct{}

func (nowhere) Append(context.Context, event.Record) (event.Appended, error) {
	return event.Appended{Seq: 1, ID: "01"}, nil
}
func (nowhere) Acknowledged(event.Record, event.Appended, bool) {}
func (nowhere) Refused(event.Record)                            {}

// serveReceiver is the program's own path, with its server and its handlers.
func serveReceiver(ctx context.Context, j handlers.Journal, h handlers.History) error {
	public, _ := handlers.New(handlers.Deps{Journal: j, History: h, Secret: secret, Metrics: handlers.NewMetrics([]string{"object"})})
	s, err := server.New(ctx, server.Options{PublicAddr: "127.0.0.1:0", Public: public, DrainWindow: time.Millisecond})
	if err != nil {
		return err
	}
	fmt.Println(s.Addr())
	return s.Serve(ctx)
}

// serveFull is the same with the journal, synced to disk, and the log consumer.
func serveFull(ctx context.Context, dir string) (serverReport, error) {
	j, err := journal.Open(ctx, journal.Options{Dir: dir})
	if err != nil {
		return serverReport{}, err
	}
	lines, err := os.Create(dir + "/log") //nolint:gosec // a directory of our parent
	if err != nil {
		return serverReport{}, err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return sink.NewConsumer(j, sink.NewLogSink(lines, nil), sink.Options{Name: "log"}).Run(gctx)
	})
	g.Go(func() error { return serveReceiver(gctx, j, j) })
	if err := g.Wait(); err != nil {
		return serverReport{}, err
	}
	stats, err := j.Stats(context.WithoutCancel(ctx))
	if err != nil {
		return serverReport{}, err
	}
	return serverReport{Appends: stats.Appends, Transactions: stats.Transactions}, j.Close()
}
