package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/internal/journal/journaltest"
)

var errFails = errors.New("the destination fails")

// sent is one attempt that reached a fake destination.
type sent struct {
	seq         int64
	attempt     int
	redelivered bool
	at          time.Time
	ok          bool
}

// world is a journal with an engine and fake destinations.
type world struct {
	t     *testing.T
	dir   string
	opt   journal.Options
	log   *bytes.Buffer
	j     *journal.Journal
	e     *Engine
	look  AccountLookup
	ahead int          // Options.ahead
	most  int          // Options.most
	fence func() error // Options.Fence
	fakes map[string]*fakeDestination
	stop  func()
}

// fakeDestination is a Sender that answers as the test says.
type fakeDestination struct {
	mu      sync.Mutex
	answer  func(m *Message) Result // nil: it takes everything
	takes   time.Duration           // how long each attempt takes
	sent    []sent
	running int
	most    int // largest number of attempts at once
	closed  bool
}

func (f *fakeDestination) Send(ctx context.Context, m *Message) Result {
	f.mu.Lock()
	f.running++
	f.most = max(f.most, f.running)
	answer, takes := f.answer, f.takes
	if f.closed {
		panic("used after Close")
	}
	f.mu.Unlock()
	var res Result
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			res.Err = ctx.Err()
		}
	}
	if res.Err == nil && answer != nil {
		res = answer(m)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running--
	f.sent = append(f.sent, sent{m.Seq, m.Attempt, m.Redelivered, m.At, res.Err == nil})
	return res
}

func (*fakeDestination) Check(context.Context) error { return nil }

func (f *fakeDestination) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

func (f *fakeDestination) set(answer func(m *Message) Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

// all returns the attempts so far.
func (f *fakeDestination) all() []sent {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sent)
}

// seqs returns the events' numbers of the attempts; if ok, only of successful ones.
func (f *fakeDestination) seqs(ok bool) (seqs []int64) {
	for _, s := range f.all() {
		if s.ok || !ok {
			seqs = append(seqs, s.seq)
		}
	}
	return seqs
}

// delivered returns the sorted numbers of the events that a destination took.
func (w *world) delivered(name string) []int64 {
	seqs := w.fake(name).seqs(true)
	slices.Sort(seqs)
	return seqs
}

// failing is the answer of a destination that refuses an event.
func failing(*Message) Result { return Result{Err: errFails, Answered: true, Status: "500"} }

// vanished is the answer of a destination that can't be reached.
func vanished(*Message) Result { return Result{Err: errors.New("connection refused")} }

// newWorld opens a journal; run starts an engine on it.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, log: &bytes.Buffer{}, fakes: map[string]*fakeDestination{}}
	w.dir = journaltest.MemoryDir(t)
	w.stop = func() {}
	t.Cleanup(w.end) // also after a failure
	w.opt = journal.Options{Dir: w.dir, MaintainEvery: 1000 * time.Hour}
	w.open()
	return w
}

func (w *world) open() {
	w.t.Helper()
	j, err := journal.Open(w.t.Context(), w.opt)
	if err != nil {
		w.t.Fatal(err)
	}
	w.j = j
}

// run starts an engine with destinations.
func (w *world) run(list ...*Destination) {
	w.t.Helper()
	w.runOn(w.j, list...)
}

// runOn is run with another view of the journal.
func (w *world) runOn(j Journal, list ...*Destination) {
	w.t.Helper()
	var err error
	w.e, err = New(w.t.Context(), Options{Journal: j, Accounts: w.look, NewSender: w.sender, ahead: w.ahead, most: w.most, Fence: w.fence, Log: zerolog.New(zerolog.SyncWriter(w.log))})
	if err != nil {
		w.t.Fatal(err)
	}
	w.set(list...)
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.e.Run(ctx) }()
	w.stop = func() {
		w.stop = func() {}
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) set(list ...*Destination) {
	w.t.Helper()
	if err := w.e.Set(w.t.Context(), list); err != nil {
		w.t.Fatal(err)
	}
}

// end stops the engine and closes the journal.
func (w *world) end() {
	w.t.Helper()
	w.stop()
	if err := w.j.Close(); err != nil {
		w.t.Error(err)
	}
}

// restart stops everything and starts it again, as a new process does.
func (w *world) restart(list ...*Destination) {
	w.t.Helper()
	w.end()
	w.open()
	w.run(list...)
}

func (w *world) sender(d *Destination, _ SenderOptions) (Sender, error) {
	f := w.fake(d.Name)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = false
	return unclosed{f}, nil
}

// unclosed is a sender whose Close does nothing: the engine may close it after it made
// a newer one for the same fake.
type unclosed struct{ *fakeDestination }

func (unclosed) Close() error { return nil }

func (w *world) fake(name string) *fakeDestination {
	if w.fakes[name] == nil {
		w.fakes[name] = &fakeDestination{}
	}
	return w.fakes[name]
}

// append stores an event about a user.
func (w *world) append(user string, action event.Action) {
	w.t.Helper()
	w.appendOf("acc", user, action)
}

func (w *world) appendOf(account, user string, action event.Action) {
	w.t.Helper()
	r := event.Route(event.Request{
		Source: event.SourceWebhook, ReceivedAt: time.Now(), Hook: "object", HookID: "h", Method: "POST", ContentType: "application/x-www-form-urlencoded",
		Body: fmt.Appendf(nil, "id=%s&account_id=%s&action=%s&type=user&n=%d", user, account, action, time.Now().UnixNano()),
	})
	a, err := w.j.Append(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.j.Acknowledged(r, a, true)
}

// edits stores edits of users.
func (w *world) edits(users ...string) {
	w.t.Helper()
	for _, user := range users {
		w.append(user, event.Edited)
	}
}

//nolint:unparam // it says whose
func (w *world) status(name string) Status {
	w.t.Helper()
	list, err := w.e.Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range list {
		if s.Name == name {
			return s
		}
	}
	w.t.Fatalf("no destination %s", name)
	return Status{}
}

// pass lets time pass, and waits until all goroutines are idle.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// dest makes a destination that begins with the oldest event.
func dest(t *testing.T, name string, change ...func(*Settings)) *Destination {
	t.Helper()
	s := Settings{Name: name, Type: TypeHTTP, HTTP: &HTTPSettings{URL: "http://192.0.2.1/"}, Start: Start{Beginning: true}}
	for _, c := range change {
		c(&s)
	}
	d, problems := Compile(s)
	if len(problems) > 0 {
		t.Fatalf("%+v", problems)
	}
	return d
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (w *world) logged(text string, want int) {
	w.t.Helper()
	if n := strings.Count(w.log.String(), text); n != want {
		w.t.Errorf("%q is %d times in the log, want %d:\n%s", text, n, want, w.log)
	}
}
