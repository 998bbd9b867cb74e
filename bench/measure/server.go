package measure

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"
	"golang.org/x/sync/errgroup"

	"kazoohook/handlers"
	"kazoohook/internal/consumer"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/server"
)

// The variants to compare; each server is a process of its own.
const (
	bare      = "bare"      // a chi handler that reads and parses the form
	bareSync  = "bare+sync" // a bare handler that writes and syncs a page before it answers
	noJournal = "nojournal" // the program's path, but events are dropped
	ideal     = "ideal"     // appends to a file, with a shared sync and the log lines, but no index
	full      = "full"      // with the journal, synced to disk, and the log lines
)

// before is the variant full of another build, Options.Against.
const before = "before"

// ServerVariable is the environment variable that makes a process one of the
// servers: a program that calls Run must call Serve if it is set.
const ServerVariable = "KAZOOHOOK_BENCH_SERVER"

const (
	dirVariable     = "KAZOOHOOK_BENCH_DIR"
	profileVariable = "KAZOOHOOK_BENCH_PROFILE"
)

// serverReport has a server's figures about itself.
type serverReport struct {
	Appends, Transactions int64
	CPU                   time.Duration
	Lines                 []time.Duration // from request to log line
}

// Serve runs one variant until standard input ends. It prints its address first,
// then a report for each line that it reads.
func Serve(ctx context.Context, variant string, stdin io.Reader, stdout io.Writer) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	profiled, err := profile(os.Getenv(profileVariable), variant)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, profiled()) }()
	report := func(*serverReport) error { return nil }
	run := func(context.Context, func(net.Addr)) error { return fmt.Errorf("unknown variant %q", variant) }
	switch variant {
	case bare:
		run = func(ctx context.Context, at func(net.Addr)) error {
			return serveBare(ctx, at, func() error { return nil })
		}
	case bareSync:
		run = serveBareSync
	case noJournal:
		run = func(ctx context.Context, at func(net.Addr)) error { return serveReceiver(ctx, nowhere{}, at) }
	case ideal:
		server.TuneRuntime() // as the program does
		i, err := newIdeal(os.Getenv(dirVariable))
		if err != nil {
			return err
		}
		report, run = i.report, i.run
	case full:
		server.TuneRuntime() // as the program does
		f, err := newFull(ctx, os.Getenv(dirVariable))
		if err != nil {
			return err
		}
		report, run = f.report, f.run
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return run(ctx, func(a net.Addr) { _, _ = fmt.Fprintln(stdout, a) }) })
	asked := bufio.NewScanner(stdin)
	for asked.Scan() && ctx.Err() == nil {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			return err
		}
		r := serverReport{CPU: time.Duration(usage.Utime.Nano() + usage.Stime.Nano())}
		if err := errors.Join(report(&r), json.NewEncoder(stdout).Encode(r)); err != nil {
			return err
		}
	}
	stop()
	return g.Wait()
}

// serveBareSync is the least work of a receiver that stores a request before its
// 200. It is for one connection: several don't share a sync.
func serveBareSync(ctx context.Context, at func(net.Addr)) (err error) {
	p, err := newPages(os.Getenv(dirVariable), 1000)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	return serveBare(ctx, at, p.write)
}

// serveBare is the least work of a receiver; before is called before each answer.
func serveBare(ctx context.Context, at func(net.Addr), before func() error) error {
	r := chi.NewRouter()
	r.Post("/kazoo/{secret}/{hook}", func(w http.ResponseWriter, r *http.Request) {
		if err := errors.Join(r.ParseForm(), before()); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, "OK\n") // the client may have left
	})
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	at(ln.Addr())
	srv := &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// nowhere is a journal that stores nothing.
type nowhere struct{}

// Append reports success.
func (nowhere) Append(context.Context, event.Record) (event.Appended, error) {
	return event.Appended{Seq: 1, ID: "01"}, nil
}

// Acknowledged does nothing.
func (nowhere) Acknowledged(event.Record, event.Appended, bool) {}

// Refused does nothing.
func (nowhere) Refused(event.Record, event.Appended) {}

// serveReceiver is the program's own path, with its server and its handlers.
func serveReceiver(ctx context.Context, j handlers.Journal, at func(net.Addr)) error {
	public := handlers.Public(handlers.PublicDeps{
		Journal: j, Secret: secret, Common: handlers.Common{Metrics: handlers.NewMetrics([]string{"object"})},
	})
	s, err := server.New(ctx, server.Options{PublicAddr: "127.0.0.1:0", Public: public, DrainWindow: time.Millisecond})
	if err != nil {
		return err
	}
	at(s.Addr())
	return s.Serve(ctx)
}

// fullServer is the program's path with the journal and the log consumer.
type fullServer struct {
	journal *journal.Journal
	lines   *lineTimer
}

func newFull(ctx context.Context, dir string) (*fullServer, error) {
	out, err := os.Create(filepath.Join(dir, "log")) //nolint:gosec // a directory of our parent
	if err != nil {
		return nil, err
	}
	j, err := journal.Open(ctx, journal.Options{Dir: dir})
	return &fullServer{j, &lineTimer{out: out}}, err
}

func (f *fullServer) run(ctx context.Context, at func(net.Addr)) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return consumer.NewConsumer(f.journal, consumer.NewLogSink(f.lines, nil, 16<<10), consumer.Options{Name: "log"}).Run(gctx)
	})
	g.Go(func() error { return serveReceiver(gctx, f.journal, at) })
	return errors.Join(g.Wait(), f.journal.Close())
}

func (f *fullServer) report(r *serverReport) error {
	stats, err := f.journal.Stats(context.Background())
	r.Appends, r.Transactions, r.Lines = stats.Appends, stats.Transactions, f.lines.take()
	return err
}

func (r serverReport) sortedLines() []time.Duration {
	slices.Sort(r.Lines)
	return r.Lines
}
