package handlers

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kazoohook/internal/journal"
	"kazoohook/internal/journal/journaltest"
)

var (
	_ Journal = (*journal.Journal)(nil)
	_ History = (*journal.Journal)(nil)
)

// TestWithTheRealJournal: requests come in, history and stream go out.
func TestWithTheRealJournal(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(t.Context(), journal.Options{Dir: filepath.Join(journaltest.MemoryDir(t), "data")})
	if err != nil {
		t.Fatal(err)
	}
	h := newHarness(t, func(d *testDeps) { d.Journal, d.History = j, j })
	t.Cleanup(func() { // before the harness' own: servers first
		h.public.Close()
		h.admin.CloseClientConnections()
		h.admin.Close()
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})

	const senders, each = 4, 25
	follower := h.follow("?event=user.*")
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				body := fmt.Sprintf("id=u%d-%d&account_id=a%d&action=doc_deleted&type=user&name=Ann+Lee&password=hush", s, i, s)
				for range 2 { // the second is a duplicate
					if got := h.do(http.MethodPost, h.public.URL+"/kazoo/"+testSecret+"/object", formType, body, "X-Hook-ID", "h1"); got.status != 200 {
						t.Errorf("answer %d", got.status)
					}
				}
			}
		})
	}
	wg.Wait()
	if got := h.deliver("id=d1&account_id=a1&action=doc_edited&type=device"); got.status != 200 {
		t.Fatal(got.status)
	}
	for i, seq := range follower.seqs(senders * each) {
		if seq != int64(i+1) {
			t.Fatalf("event %d at %d", seq, i+1)
		}
	}
	for query, want := range map[string]int{
		"?limit=1000": senders*each + 1, "?event=device.edited": 1, "?event=user.*&account=a1": each, "?account=a0,a1&limit=1000": 2*each + 1,
		"?object=u0-0,d1": 2, "?text=ann%2Blee&limit=1000": senders * each, "?since=1h&limit=1000": senders*each + 1, "?until=1h": 0,
		"?after=100": 1, "?before=3": 2, "?event=call*": 0,
	} {
		if p := h.page(query); len(p.Events) != want {
			t.Errorf("%s: %d events, want %d", query, len(p.Events), want)
		}
	}
	if got := h.get("/api/events?format=ndjson"); strings.Count(got.body, "\n") != senders*each+1 || strings.Contains(got.body, "hush") {
		t.Errorf("%d lines, or a secret", strings.Count(got.body, "\n"))
	}
	if got := h.get("/api/events/1"); got.status != 200 || !strings.Contains(got.body, `"event":"user.deleted"`) || strings.Contains(got.body, "hush") {
		t.Errorf("%+v", got)
	}
	isProblem(t, h.get("/api/events/500"), 404)
	if got := fmt.Sprint(h.follow("", "Last-Event-ID", "99").seqs(2)); got != "[100 101]" {
		t.Errorf("resumed with %s", got)
	}
}
