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

	"kazoohook/internal/crossbar"
	"kazoohook/internal/event"
	"kazoohook/internal/fakekazoo"
	"kazoohook/internal/journal"
	"kazoohook/internal/leaktest"
	"kazoohook/internal/snapshot"
)

// TestMain checks for leaks, and keeps the property test short unless
// -rapid.checks says otherwise.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "15"); err != nil {
		panic(err)
	}
	leaktest.Main(m)
}

const testSecret = "marked-secret-0123456789"

// cluster is a fake Kazoo and a client that is logged in to it.
type cluster struct {
	*fakekazoo.Kazoo
	url string
	api *crossbar.Client
}

func newCluster(t *testing.T, opt fakekazoo.Options) *cluster {
	t.Helper()
	opt.BucketsOff = true
	k := fakekazoo.New(opt)
	srv := httptest.NewServer(k.API())
	t.Cleanup(func() { srv.Close(); k.Close() })
	c := &cluster{Kazoo: k, url: srv.URL}
	c.api = c.client(t)
	return c
}

func clusterOptions() fakekazoo.Options { return fakekazoo.Options{} }

func (c *cluster) client(t *testing.T) *crossbar.Client {
	t.Helper()
	api, err := crossbar.New(crossbar.Options{BaseURL: c.url, Auth: crossbar.Password{User: fakekazoo.DefaultUsername, Pass: fakekazoo.DefaultPassword},
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
	return Options{Desired: Desired{Owner: "kazoohook", PublicURL: publicURL, Secret: testSecret, Specs: specs, Retries: 3, InternalLegs: true}, Interval: time.Hour}
}

// clock is a clock that a test moves.
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

// openJournal opens a real journal. It is closed at the end of the test, if not before.
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

// receiver stores requests in a journal like the service.
type receiver struct {
	j      *journal.Journal
	url    string
	status atomic.Int64 // the answer, without storing the event; 0: it is stored
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
	rec := event.Route(event.Request{Source: event.SourceWebhook, ReceivedAt: time.Now().UTC(), Hook: "object",
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

// flaky is a journal in which one write and all after it fail, as in a crash.
type flaky struct {
	*journal.Journal
	left atomic.Int64 // writes before that; negative: none fails
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

func (f *flaky) Listed(ctx context.Context, p snapshot.Page) (journal.Listing, error) {
	if err := f.write(); err != nil {
		return journal.Listing{}, err
	}
	return f.Journal.Listed(ctx, p)
}

func (f *flaky) Looked(ctx context.Context, l snapshot.Look) (journal.Listing, error) {
	if err := f.write(); err != nil {
		return journal.Listing{}, err
	}
	return f.Journal.Looked(ctx, l)
}

func (f *flaky) Missing(ctx context.Context, m snapshot.Missing) (event.Appended, error) {
	if err := f.write(); err != nil {
		return event.Appended{}, err
	}
	return f.Journal.Missing(ctx, m)
}

// blind is a journal in which one kind of read fails after a number of reads.
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

func (b *blind) Object(ctx context.Context, typ, account, id string) (snapshot.Object, bool, error) {
	if b.fails("Object") {
		return snapshot.Object{}, false, errCrash
	}
	return b.Journal.Object(ctx, typ, account, id)
}

func (b *blind) NewestPass(ctx context.Context) (int64, error) {
	if b.fails("NewestPass") {
		return 0, errCrash
	}
	return b.Journal.NewestPass(ctx)
}

func (b *blind) CountObjects(ctx context.Context, typ, account string) (int, error) {
	if b.fails("CountObjects") {
		return 0, errCrash
	}
	return b.Journal.CountObjects(ctx, typ, account)
}

func (b *blind) Objects(ctx context.Context, typ, account string) iter.Seq2[snapshot.Object, error] {
	if b.fails("Objects") {
		return func(yield func(snapshot.Object, error) bool) { yield(snapshot.Object{}, errCrash) }
	}
	return b.Journal.Objects(ctx, typ, account)
}

func (b *blind) ObjectsNotSeen(ctx context.Context, typ, account string, pass int64) iter.Seq2[snapshot.Object, error] {
	if b.fails("ObjectsNotSeen") {
		return func(yield func(snapshot.Object, error) bool) { yield(snapshot.Object{}, errCrash) }
	}
	return b.Journal.ObjectsNotSeen(ctx, typ, account, pass)
}

func (b *blind) Looks(ctx context.Context, typ string, after int64, limit int) ([]snapshot.Object, error) {
	if b.fails("Looks") {
		return nil, errCrash
	}
	return b.Journal.Looks(ctx, typ, after, limit)
}
