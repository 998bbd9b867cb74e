package consumer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kazoohook/internal/consumer"
	"kazoohook/internal/event"
	"kazoohook/internal/event/eventtest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func delivery(seq int64, hook, body string) event.Record {
	r := event.Route(event.Request{Source: event.SourceWebhook, ReceivedAt: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC), Hook: hook, HookID: "h1",
		HookAccountID: "acc", Method: "POST", ContentType: "application/x-www-form-urlencoded", Body: []byte(body)})
	r.Seq, r.ID = seq, "01JGK2X5ZC0000000000000000"
	return r
}

// TestLinesAreTheContract compares whole lines with the golden file: people's
// programs read them.
func TestLinesAreTheContract(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // its clock starts at the same time in every run
		var out bytes.Buffer
		s := consumer.NewLogSink(&out, func(_ context.Context, e *event.Event) {
			if e.ObjectID == "u1" {
				e.ObjectName = "Ann Lee"
				e.Data["email"] = "ann@example.com"
			}
		}, 16<<10)
		if err := s.Handle(t.Context(), []event.Record{
			delivery(1, "object", "id=u1&account_id=acc&action=doc_deleted&type=user&cluster_id=c1"),
			delivery(2, "channel_create", "hook_event=channel_create&call_id=call-1&account_id=acc&timestamp=63900000000&custom_channel_vars[owner_id]=u1"),
			delivery(3, "notifications", "event_name=new_user&event_category=notification&account_id=acc&password=hunter2&msg_id=m1"),
			delivery(4, "object", "what is this"),
		}); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "lines.golden")
		if *update {
			if err := os.WriteFile(golden, out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), out.String()); diff != "" {
			t.Errorf("lines (-want +got); -update rewrites them:\n%s", diff)
		}
		for line := range strings.Lines(out.String()) {
			eventtest.Validate(t, []byte(line))
		}
		if strings.Contains(out.String(), "hunter2") {
			t.Error("a password is printed")
		}
	})
}

// torn is a file on a disk that fills up: it takes room bytes, then none until
// room is set again.
type torn struct {
	bytes.Buffer
	room   int
	writes int
	silent bool // a short write without an error
}

func (f *torn) Write(p []byte) (int, error) {
	f.writes++
	n := min(len(p), f.room)
	f.room -= n
	_, _ = f.Buffer.Write(p[:n])
	if n < len(p) && !f.silent {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

func TestLinesAreWholeWhateverTheDiskDoes(t *testing.T) {
	t.Parallel()
	batch := []event.Record{delivery(1, "object", "id=u1&account_id=acc&action=doc_deleted&type=user"), delivery(2, "object", "id=u2&account_id=acc&action=doc_deleted&type=user")}
	var whole bytes.Buffer
	if err := consumer.NewLogSink(&whole, nil, 0).Handle(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for room := range whole.Len() - 50 {
		f := &torn{room: room, silent: room%2 == 0}
		s := consumer.NewLogSink(f, nil, 0)
		if err := s.Handle(t.Context(), batch); err == nil {
			t.Fatalf("room for %d bytes: no error", room)
		}
		f.room = 3 // a little, again in the middle of a line
		if err := s.Handle(t.Context(), batch); err == nil {
			t.Fatal("no error")
		}
		f.room = 0
		if err := s.Handle(t.Context(), batch); err == nil {
			t.Fatal("no error")
		}
		f.room = 1 << 20
		if err := s.Handle(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		seen := map[float64]bool{}
		for line := range strings.Lines(f.String()) {
			var l map[string]any
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatalf("room for %d bytes: a torn line %q: %v", room, line, err)
			}
			seq, _ := l["seq"].(float64)
			seen[seq] = true
		}
		if !seen[1] || !seen[2] {
			t.Fatalf("room for %d bytes: a line is missing:\n%s", room, f.String())
		}
	}
}

// TestLinesAreNeverTooLong prints events with long values, keys, lists, ids, names
// and problems, with deep nesting, and with text that must be escaped.
func TestLinesAreNeverTooLong(t *testing.T) {
	t.Parallel()
	const head = "account_id=acc&action=doc_edited&type=user&id="
	long := strings.Repeat("%00é", 20000)
	bodies := map[string]string{
		"value":       head + "u1&note=" + long,
		"values":      head + "u1&a=" + long + "&b[c]=" + long + "&c[]=" + long + "&c[]=1",
		"keys":        head + "u1" + strings.Repeat("&k=1&"+strings.Repeat("key", 50)+"=2", 2000),
		"many keys":   head + "u1",
		"nested":      head + "u1&a" + strings.Repeat("[b]", 50) + "=" + long,
		"id":          head + strings.Repeat("%01", 511) + "&account_id=" + strings.Repeat("%01", 500),
		"name":        head + "u1&name=" + long + "&cluster_id=" + long,
		"unknown":     strings.Repeat("x", 100_000),
		"JSON":        `{"event_category":"notification","event_name":"x","list":[` + strings.Repeat(`{"a":"b"},`, 20000) + `1]}`,
		"broken JSON": `{"a":` + long,
		"short":       head + "u1",
	}
	for i := range 5000 {
		bodies["many keys"] += fmt.Sprintf("&key%d=%d", i, i)
	}
	for _, limit := range []int{consumer.MinLine, 4096, 16 << 10, 0} {
		for name, body := range bodies {
			var out bytes.Buffer
			r := delivery(1<<62, "object", body)
			r.Hook, r.HookID = strings.Repeat("h", 2000), strings.Repeat("\x01", 256)
			if err := consumer.NewLogSink(&out, nil, limit).Handle(t.Context(), []event.Record{r}); err != nil {
				t.Fatal(err)
			}
			var line struct {
				Seq       int64
				EventID   string `json:"event_id"`
				Message   string
				Truncated bool
			}
			if err := json.Unmarshal(out.Bytes(), &line); err != nil {
				t.Errorf("%s, limit %d: %v", name, limit, err)
			}
			eventtest.Validate(t, out.Bytes())
			if limit > 0 && out.Len() > limit || out.Bytes()[out.Len()-1] != '\n' || bytes.Count(out.Bytes(), []byte("\n")) != 1 {
				t.Errorf("%s: %d bytes, limit %d", name, out.Len(), limit)
			}
			if line.Seq != 1<<62 || line.EventID == "" || line.Message == "" || line.Truncated && limit == 0 {
				t.Errorf("%s, limit %d: %.300s", name, limit, out.Bytes())
			}
			if name == "value" && limit > 0 && (!line.Truncated || out.Len() < limit-100) {
				t.Errorf("limit %d: %d bytes, truncated %v", limit, out.Len(), line.Truncated)
			}
		}
	}
}

func TestLargeBatchesAreWrittenInPieces(t *testing.T) {
	t.Parallel()
	var batch []event.Record
	for i := range 8 {
		batch = append(batch, delivery(int64(i+1), "object", "id=u1&account_id=acc&action=doc_edited&type=user&note="+strings.Repeat("x", 600<<10)))
	}
	f := &torn{room: 1 << 30}
	s := consumer.NewLogSink(f, nil, 0)
	if err := s.Handle(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if f.writes != len(batch) || strings.Count(f.String(), "\n") != len(batch) {
		t.Errorf("%d writes, %d lines", f.writes, strings.Count(f.String(), "\n"))
	}
	f.room = 0
	if err := s.Handle(t.Context(), batch); err == nil {
		t.Error("no error from a full disk")
	}
	if err := s.Handle(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
