//go:build real

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/event"
	"kazoohook/internal/requests"
)

// TestPageCopies: an event is copied as JSON, and as a command that makes exactly the
// request in a shell, whatever the event contains.
func TestPageCopies(t *testing.T) {
	t.Parallel()
	awkward := "it's $HOME `id` \"x\" \\n !! \x1b[201~\u202e\u009b é 日本\n\ttab"
	quoted, err := json.Marshal("@file " + awkward)
	if err != nil {
		t.Fatal(err)
	}
	var seqs []int64
	b, st := newStageTab(t, func(st *stage, s *stageState) {
		add := func(method, contentType, body string, headers ...requests.Header) {
			r := event.Route(event.Request{Source: event.SourceWebhook, ReceivedAt: time.Now().UTC(), Hook: "object", HookID: "h1", HookAccountID: "a1", Method: method, ContentType: contentType, Body: []byte(body)})
			r.Seq, r.ID = int64(len(s.records)+1), fmt.Sprintf("01J%023d", len(s.records)+1)
			s.records, seqs = append(s.records, r), append(seqs, r.Seq)
			if headers != nil {
				st.requests.Note(requests.Request{Seq: r.Seq, Method: method, Headers: headers, Status: 200, Written: true})
			}
		}
		add("POST", "application/x-www-form-urlencoded", "id=1&type=user&action=doc_deleted&account_id=a1&name="+url.QueryEscape(awkward))
		add("POST", "application/json", `{"id":"1","type":"user","action":"doc_deleted","account_id":"a1","name":`+string(quoted)+`}`,
			requests.Header{Name: "Content-Type", Value: "application/json"}, requests.Header{Name: "Authorization", Value: "***"}, requests.Header{Name: "Host", Value: "hooks.example.com"},
			requests.Header{Name: "X-Custom", Value: awkward[:20] + "'"}, requests.Header{Name: "X-Forwarded-For", Value: "1.2.3.4"})
		add("PUT", "text/plain", "@/etc/passwd "+awkward)
		add("GET", "application/x-www-form-urlencoded", "id=1&type=user&action=doc_edited&a[b]={c}'d")
		add("POST", "application/octet-stream", "\xff\xfe\x00binary")
		add("POST", "text/plain", "with\x00nul")
	})
	dir := t.TempDir()
	b.run(`navigator.clipboard.writeText = text => { window.copied = text; return Promise.resolve(); }`)
	copied := func(what string) string {
		b.run(fmt.Sprintf(`window.copied = null; [...document.querySelectorAll("#detail .copy button")].find(b => b.textContent === "Copy as %s").click()`, what))
		b.until("it is copied", `typeof window.copied === "string"`)
		b.until("it is said", fmt.Sprintf(`document.querySelector("#said").textContent === "Copied as %s."`, what))
		return evaluate[string](b, `window.copied`)
	}
	for i, seq := range seqs {
		b.run(fmt.Sprintf(`document.querySelector(".row[data-seq='%d']").click()`, seq))
		b.until("it is open", fmt.Sprintf(`document.querySelector("#detail").dataset.seq === "%d" && document.querySelector("#detail pre")`, seq))
		text := copied("JSON")
		var e struct {
			Seq  int64
			Data map[string]any
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil || e.Seq != seq {
			t.Errorf("JSON of %d: %v in %s", seq, err, text)
		}
		command := copied("curl")
		if strings.ContainsAny(command+text[:0], "\x1b\u202e\u009b\x00\n") || strings.ContainsAny(text, "\x1b\u202e\u009b") {
			t.Errorf("what is copied holds characters that a terminal obeys: %q", command)
		}
		r := st.get().records[seq-1]
		args := shellWords(t, dir, command)
		checkCurl(t, i, r, args)
		if r.Method != "GET" {
			body, err := os.ReadFile(filepath.Join(dir, "body"))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(body, r.Body) {
				t.Errorf("%d: the body is %q, want %q", i, body, r.Body)
			}
		}
	}
	// Without a clipboard, the page copies through a selection.
	b.run(`Object.defineProperty(navigator, "clipboard", { value: undefined }); document.execCommand = what => { window.copied = document.activeElement.value; return what === "copy"; }`)
	if text := copied("JSON"); !strings.Contains(text, `"seq"`) {
		t.Errorf("without a clipboard: %q", text)
	}
	if c := b.complaints(); len(c) > 0 {
		t.Errorf("the browser complained: %q", c)
	}
}

// shellWords lets a shell parse a command. It returns the arguments; the body is in a
// file.
func shellWords(t *testing.T, dir, command string) []string {
	t.Helper()
	script := `curl() {
		printf '%s\0' "$@" > args
		while [ $# -gt 0 ]; do
			case $1 in
			--data-raw) printf %s "$2" > body; shift ;;
			--data-binary) [ "$2" = @- ] && cat > body; shift ;;
			esac
			shift
		done
	}
	` + command
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script) //nolint:gosec // what the page makes is to be tried
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s\n%s", err, out, command)
	}
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(args), "\x00"), "\x00")
}

func checkCurl(t *testing.T, i int, r event.Record, args []string) {
	t.Helper()
	all := strings.Join(args, "\n")
	const address = "https://hooks.example.com/kazoo/***/object"
	last := args[len(args)-1]
	switch {
	case r.Method == "GET" && (last != address+"?"+string(r.Body) || !strings.Contains(all, "-g\n")):
		t.Errorf("%d: the address is %q", i, last)
	case r.Method != "GET" && last != address:
		t.Errorf("%d: the address is %q", i, last)
	}
	if !strings.Contains(all, "-X\n"+r.Method+"\n") || r.Method != "GET" && !strings.Contains(all, "-H\nContent-Type: "+r.ContentType+"\n") {
		t.Errorf("%d: %q", i, args)
	}
	for _, never := range []string{"Authorization", "X-Forwarded-For", "Host:"} {
		if strings.Contains(all, never) {
			t.Errorf("%d: %s is sent", i, never)
		}
	}
}
