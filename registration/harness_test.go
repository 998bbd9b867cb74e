package registration

import (
	"context"
	"errors"
	"flag"
	"iter"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"kazoohook/internal/crossbar"
	"kazoohook/internal/crossbar/crossbartest"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
)

// TestMain checks for leaks, and keeps the property test short unless it is told
// otherwise (-rapid.checks).
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "15"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

const testSecret = "marked-secret-0123456789"

// cluster is a fake Kazoo and a client that is logged in to it.
type cluster struct {
	*crossbartest.Kazoo
	url string
	api *crossbar.Client
}

func newCluster(t *testing.T, opt crossbartest.Options) *cluster {
	t.Helper()
	opt.BucketsOff = true
	k := crossbartest.New(opt)
	srv := httptest.NewServer(k.API())
	t.Cleanup(func() { srv.Close(); k.Close() })
	c := &cluster{Kazoo: k, url: srv.URL}
	c.api = c.client(t)
	return c
}

func (c *cluster) client(t *testing.T) *crossbar.Client {
	t.Helper()
	api, err := crossbar.New(crossbar.Options{BaseURL: c.url, Auth: crossbar.Password{User: crossbartest.DefaultUsername, Pass: crossbartest.DefaultPassword},
		AccountName: "acme", Rate: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	return api
}

func (c *cluster) hooks(t *testing.T) []crossbar.Hook {
	t.Helper()
	list, err := c.api.Hooks(t.Context(), c.AccountID())
	if err != nil {
		t.Fatal(err)
	}
	var hooks []crossbar.Hook
	for _, s := range list {
		h, err := c.api.Hook(t.Context(), c.AccountID(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		hooks = append(hooks, h)
	}
	return hooks
}

func reconcilerOptions(publicURL string, specs ...Spec) Options {
	if len(specs) == 0 {
		specs = []Spec{{"object", "user", "doc_deleted"}}
	}
	return Options{Desired: Desired{Owner: "kazoohook", PublicURL: publicURL, Secret: testSecret, Specs: specs, Retries: 3}, Interval: time.Hour}
}

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// openJournal opens a real journal; it is closed with the test, unless before.
func openJournal(t testing.TB, dir string, now func() time.Time) *journal.Journal {
	t.Helper()
	j, err := journal.Open(context.Background(), journal.Options{Dir: dir, Now: now, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

// events reads the whole journal.
func events(t testing.TB, j *journal.Journal) []event.Record {
	t.Helper()
	var all []event.Record
	for {
		after := int64(0)
		if len(all) > 0 {
			after = all[len(all)-1].Seq
		}
		recs, err := j.Read(context.Background(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(recs) == 0 {
			return all
		}
		all = append(all, recs...)
	}
}

// tally counts the journal's events by name and object.
func tally(t testing.TB, j *journal.Journal) map[string]int {
	t.Helper()
	n := map[string]int{}
	for _, r := range events(t, j) {
		n[r.Event+" "+r.ObjectID]++
	}
	return n
}

// receiver takes deliveries into a journal as the service does.
type receiver struct {
	j      *journal.Journal
	url    string
	status atomic.Int64 // answered instead of taking the event; 0: it is taken
	taken  atomic.Int64
}

func newReceiver(t *testing.T, j *journal.Journal) *receiver {
	t.Helper()
	r := &receiver{j: j}
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	r.url = srv.URL
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if s := r.status.Load(); s != 0 {
		w.WriteHeader(int(s))
		return
	}
	body := make([]byte, req.ContentLength)
	if _, err := req.Body.Read(body); err != nil && len(body) == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	rec := event.Route(event.Delivery{Source: event.SourceWebhook, ReceivedAt: time.Now().UTC(), Hook: "object",
		HookID: req.Header.Get("X-Hook-Id"), HookAccountID: req.Header.Get("X-Account-Id"), Method: req.Method,
		ContentType: req.Header.Get("Content-Type"), Body: body})
	a, err := r.j.Append(req.Context(), rec)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusOK)
	r.j.Acknowledged(rec, a, true)
	r.taken.Add(1)
}

// flaky is a journal whose n-th write fails, and all after it, as in a crash.
type flaky struct {
	*journal.Journal
	left atomic.Int64 // writes until then; negative: for ever
}

var errCrash = errors.New("the process was killed here")

func (f *flaky) write() error {
	if f.left.Load() < 0 {
		return nil
	}
	if f.left.Add(-1) < 0 {
		f.left.Store(0)
		return errCrash
	}
	return nil
}

func (f *flaky) Append(ctx context.Context, r event.Record) (event.Appended, error) {
	if err := f.write(); err != nil {
		return event.Appended{}, err
	}
	return f.Journal.Append(ctx, r)
}

func (f *flaky) SetState(ctx context.Context, key, value string) error {
	if err := f.write(); err != nil {
		return err
	}
	return f.Journal.SetState(ctx, key, value)
}

func (f *flaky) UpsertObjects(ctx context.Context, o []event.SnapshotObject) error {
	if err := f.write(); err != nil {
		return err
	}
	return f.Journal.UpsertObjects(ctx, o)
}

func (f *flaky) MarkGone(ctx context.Context, typ, id string, at time.Time) error {
	if err := f.write(); err != nil {
		return err
	}
	return f.Journal.MarkGone(ctx, typ, id, at)
}

func (f *flaky) AppendObserved(ctx context.Context, r event.Record, o event.SnapshotObject) (event.Appended, error) {
	if err := f.write(); err != nil {
		return event.Appended{}, err
	}
	return f.Journal.AppendObserved(ctx, r, o)
}

func (f *flaky) Revive(ctx context.Context, typ, id string, since time.Time) error {
	if err := f.write(); err != nil {
		return err
	}
	return f.Journal.Revive(ctx, typ, id, since)
}

// blind is a journal of which one kind of reading fails after so many.
type blind struct {
	*journal.Journal
	what  string
	after int
}

func (b *blind) fails(what string) bool {
	if b.what != what {
		return false
	}
	b.after--
	return b.after < 0
}

func (b *blind) Object(ctx context.Context, typ, id string) (event.SnapshotObject, bool, error) {
	if b.fails("Object") {
		return event.SnapshotObject{}, false, errCrash
	}
	return b.Journal.Object(ctx, typ, id)
}

func (b *blind) CountObjects(ctx context.Context, typ, account string) (int, error) {
	if b.fails("CountObjects") {
		return 0, errCrash
	}
	return b.Journal.CountObjects(ctx, typ, account)
}

func (b *blind) Objects(ctx context.Context, typ, account string) iter.Seq2[event.SnapshotObject, error] {
	if b.fails("Objects") {
		return func(yield func(event.SnapshotObject, error) bool) { yield(event.SnapshotObject{}, errCrash) }
	}
	return b.Journal.Objects(ctx, typ, account)
}

func (b *blind) ObjectsNotSeen(ctx context.Context, typ, account string, pass int64) iter.Seq2[event.SnapshotObject, error] {
	if b.fails("ObjectsNotSeen") {
		return func(yield func(event.SnapshotObject, error) bool) { yield(event.SnapshotObject{}, errCrash) }
	}
	return b.Journal.ObjectsNotSeen(ctx, typ, account, pass)
}
