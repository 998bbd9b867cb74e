package endurance

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"kazoohook/bench/chaos/trial"
	"kazoohook/internal/fakekazoo"
)

// logLine is an event's line.
func logLine(seq int, source, object string) string {
	return fmt.Sprintf(`{"level":"info","event":"user.deleted","event_id":"e%d","seq":%d,"source":%q,"hook":"object","action":"doc_deleted","object_id":%q,"message":"user deleted"}`,
		seq, seq, source, object)
}

func firing(object string) fakekazoo.Firing {
	return fakekazoo.Firing{Hook: "object", Outcome: fakekazoo.OutcomeDelivered, Body: []byte("id=" + object + "&action=doc_deleted&type=user")}
}

// TestLedger proves that the ledger finds lost, doubled and changed events.
func TestLedger(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fired   []string
		lines   []string
		killed  bool
		journal []int  // seqs at the end; nil: as logged
		want    string // part of the only violation; "" none
	}{
		"balanced":          {fired: []string{"a", "b"}, lines: []string{logLine(1, "webhook", "a"), logLine(2, "webhook", "b")}},
		"recovered":         {fired: []string{"a"}, lines: []string{logLine(1, "recovered", "a")}},
		"found":             {lines: []string{logLine(1, "resync", "a")}},
		"found and logged":  {fired: []string{"a"}, lines: []string{logLine(1, "resync", "a")}},
		"of itself":         {fired: []string{"b"}, lines: []string{logLine(1, "receiver", "a"), logLine(2, "webhook", "b")}},
		"lost":              {fired: []string{"a", "b"}, lines: []string{logLine(1, "webhook", "a")}, want: "object doc_deleted b: besides what was settled, fired 1 times and logged 0 times"},
		"double":            {fired: []string{"a"}, lines: []string{logLine(1, "webhook", "a"), logLine(2, "webhook", "a")}, want: "fired 0 times and logged 1 times"},
		"found and double":  {fired: []string{"a"}, lines: []string{logLine(1, "resync", "a"), logLine(2, "webhook", "a")}, want: "fired 0 times and logged 1 times"},
		"made up":           {fired: []string{"a"}, lines: []string{logLine(1, "webhook", "a"), logLine(2, "webhook", "b")}, want: "fired 0 times and logged 1 times"},
		"a hole":            {fired: []string{"a", "b"}, lines: []string{logLine(1, "webhook", "a"), logLine(3, "webhook", "b")}, want: "seq 3 (user.deleted) was logged after 1"},
		"again":             {fired: []string{"a"}, lines: []string{logLine(1, "webhook", "a"), logLine(1, "webhook", "a")}, want: "though nothing was killed"},
		"again after death": {fired: []string{"a"}, lines: []string{logLine(1, "webhook", "a"), logLine(1, "webhook", "a")}, killed: true},
		"again otherwise":   {fired: []string{"a"}, lines: []string{logLine(1, "webhook", "a"), logLine(1, "webhook", "b")}, killed: true, want: "another content"},
		"no line":           {fired: []string{"a"}, lines: []string{logLine(1, "webhook", "a"), "{"}, want: "can't be read"},
		"journal pruned":    {fired: []string{"a", "b"}, lines: []string{logLine(1, "webhook", "a"), logLine(2, "webhook", "b")}, journal: []int{2}},
		"journal too long":  {fired: []string{"a"}, lines: []string{logLine(1, "webhook", "a")}, journal: []int{1, 2}, want: "was not logged, or with another content; the journal ends with seq 2"},
		"journal too short": {fired: []string{"a", "b"}, lines: []string{logLine(1, "webhook", "a"), logLine(2, "webhook", "b")}, journal: []int{1}, want: "the journal ends with seq 1, the log with 2"},
		"journal empty":     {journal: []int{}, want: "the journal is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(Options{})
			l.begin(test.killed)
			for _, id := range test.fired {
				l.fired(firing(id))
			}
			journal := []trial.Event{}
			for _, text := range test.lines {
				l.logged([]byte(text))
				if e, err := trial.ParseEvent([]byte(text)); err == nil && (len(journal) == 0 || journal[len(journal)-1].Seq < e.Seq) {
					journal = append(journal, e)
				}
			}
			if test.journal != nil {
				journal = nil
				for _, seq := range test.journal {
					e, err := trial.ParseEvent([]byte(logLine(seq, "webhook", string(rune('a'+seq-1)))))
					if err != nil {
						t.Fatal(err)
					}
					journal = append(journal, e)
				}
			}
			if name == "a hole" { // the comparison with the journal finds it, too
				journal = journal[1:]
			}
			got, n := l.close(journal)
			if all := strings.Join(got, "; "); (n == 0) != (test.want == "") || !strings.Contains(all, test.want) {
				t.Errorf("got %d: %q, want %q", n, all, test.want)
			}
		})
	}
}

// TestTriedAgain proves that only an edit that Kazoo sent again after a kill may be
// two events.
func TestTriedAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		action string
		killed bool
		tries  int
		lines  int
		want   int // violations
	}{
		"an edit":             {"doc_edited", true, 2, 2, 0},
		"an edit, held once":  {"doc_edited", true, 2, 1, 0},
		"an edit, lost":       {"doc_edited", true, 2, 0, 1},
		"an edit, three":      {"doc_edited", true, 2, 3, 1},
		"sent once":           {"doc_edited", true, 1, 2, 1},
		"without a kill":      {"doc_edited", false, 2, 2, 1},
		"a deletion, as sent": {"doc_deleted", true, 2, 1, 0},
		"a deletion, twice":   {"doc_deleted", true, 2, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(Options{})
			l.begin(test.killed)
			var journal []trial.Event
			for seq := range test.lines {
				text := strings.ReplaceAll(logLine(seq+1, "webhook", "a"), "doc_deleted", test.action)
				l.logged([]byte(text))
				e, err := trial.ParseEvent([]byte(text))
				if err != nil {
					t.Fatal(err)
				}
				journal = append(journal, e)
			}
			f := firing("a")
			f.Body = bytes.ReplaceAll(f.Body, []byte("doc_deleted"), []byte(test.action))
			f.Tries = test.tries
			l.fired(f)
			violations, _ := l.close(journal)
			if test.lines == 0 {
				violations = violations[:len(violations)-1] // the last one: the journal is empty
			}
			if len(violations) != test.want {
				t.Errorf("%d violations, want %d: %q", len(violations), test.want, violations)
			}
		})
	}
}

// TestUnsure proves that a request that may not have arrived is no violation.
func TestUnsure(t *testing.T) {
	t.Parallel()
	l := newLedger(Options{})
	for _, id := range []string{"kept", "lost"} {
		l.sent(identity{hook: "object", id: id, what: "doc_deleted"}, false)
	}
	l.sent(identity{hook: "object", id: "sure", what: "doc_deleted"}, true)
	l.logged([]byte(logLine(1, "webhook", "kept")))
	if n := l.outstanding(); n != 1 {
		t.Errorf("%d outstanding, want the one that was answered 200", n)
	}
}

// TestIdentity proves that a request and its line have the same identity.
func TestIdentity(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ hook, body, line string }{
		"user": {"object", "id=u1&account_id=a&action=doc_edited&type=user",
			`{"hook":"object","action":"doc_edited","object_id":"u1"}`},
		"call": {"channel_answer", "account_id=a&call_id=c%401&hook_event=channel_answer&timestamp=1",
			`{"hook":"channel_answer","data":{"call_id":"c@1","hook_event":"channel_answer","timestamp":1}}`},
		"notification": {"notifications", "call_id=c&msg_id=m1&event_name=missed_call&event_category=notification",
			`{"hook":"notifications","data":{"call_id":"c","msg_id":"m1","event_name":"missed_call"}}`},
		"notification in JSON": {"notifications", `{"call_id": "c", "msg_id": "m1", "to": ["a"], "event_name": "missed_call"}`,
			`{"hook":"notifications","data":{"call_id":"c","msg_id":"m1","event_name":"missed_call"}}`},
		"message":  {"sms", "id=0123&type=sms&body=x", `{"hook":"sms","data":{"id":"0123","type":"sms"}}`},
		"a number": {"sms", "id=123&type=sms", `{"hook":"sms","data":{"id":123}}`},
		"unknown":  {"object", "id=babble-1&surprise=1", `{"hook":"object","data":{"id":"babble-1"}}`},
	} {
		l := newLedger(Options{})
		l.fired(fakekazoo.Firing{Hook: test.hook, Body: []byte(test.body)})
		l.logged([]byte(strings.Replace(test.line, "{", `{"event":"x","event_id":"e","seq":1,`, 1)))
		if n := l.outstanding(); n != 0 {
			t.Errorf("%s: %v", name, l.open)
		}
	}
}
