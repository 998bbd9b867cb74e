//go:build real

package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/fakekazoo"
)

// recipe is a page of docs/recipes whose files are in a directory of the test,
// unchanged except for addresses, paths, and the pauses before retries.
type recipe struct {
	t       *testing.T
	dir     string
	kazoo   *fake
	process *process
	replace *strings.Replacer
}

// block is a code block with the name of its file.
var block = regexp.MustCompile("(?s)\n```[a-z]+ ([a-z.-]+)\n(.*?)\n```\n")

// newRecipe writes the files of a page. places are pairs: a text of the page, and what
// replaces it.
func newRecipe(t *testing.T, page string, places ...string) *recipe {
	t.Helper()
	r := &recipe{t: t, dir: t.TempDir()}
	r.replace = strings.NewReplacer(append(places, "/etc/kazoohook/", r.dir+"/")...)
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "recipes", page))
	if err != nil {
		t.Fatal(err)
	}
	blocks := block.FindAllStringSubmatch(string(text), -1)
	if len(blocks) == 0 {
		t.Fatalf("%s has no files", page)
	}
	for _, b := range blocks {
		r.put(b[1], r.replace.Replace(b[2])+"\n")
	}
	return r
}

func (r *recipe) path(name string) string { return filepath.Join(r.dir, name) }

func (r *recipe) put(name, content string) {
	r.t.Helper()
	if err := os.WriteFile(r.path(name), []byte(content), 0o700); err != nil { //nolint:gosec // a script is one of them
		r.t.Fatal(err)
	}
}

func (r *recipe) text(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// start runs the program with the page's settings, and a fake Kazoo with two users. It
// waits until hooks are registered and the users are known, and returns their ids.
func (r *recipe) start(first, last string) (ids [2]string) {
	r.t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(r.t.Context()))
	kazoo, err := newFake(ctx, fakekazoo.Options{Speed: 50, Seed: 1}, "127.0.0.1:0", "127.0.0.1:0", 3)
	if err != nil {
		r.t.Fatal(err)
	}
	r.kazoo = kazoo
	for i := range ids {
		u, err := kazoo.CreateUser(fakekazoo.User{AccountID: "acme", FirstName: first, LastName: last})
		if err != nil {
			r.t.Fatal(err)
		}
		ids[i] = u.ID
	}
	ended := make(chan error, 1)
	go func() { ended <- kazoo.run(ctx) }()
	// A receiver of the page may start late. The default pauses grow to hours.
	often := "retry: [" + strings.Repeat("1s, ", 99) + "1s]"
	if config := r.text("config.yaml"); !strings.Contains(config, "retry:") {
		r.put("config.yaml", strings.Replace(config, "\n    events:", "\n    "+often+"\n    events:", 1))
	}
	r.process = newProcess(r.t, "KAZOO_API_URL="+kazoo.api, "KAZOOHOOK_CONFIG="+r.path("config.yaml"))
	r.process.start(nil, execServe+" >"+r.path("log")+" 2>&1")
	r.t.Cleanup(func() {
		r.process.stop()
		stop()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
		if r.t.Failed() {
			r.t.Log(r.text("log"))
		}
	})
	r.process.until("ready", func() bool { return r.process.get(r.process.public+"/readyz") == http.StatusOK })
	if strings.Contains(r.text("config.yaml"), "object:") { // without this, no objects are compared
		r.process.until("the users are known", func() bool { return strings.Contains(r.text("log"), "is the baseline") })
	}
	return ids
}

// run starts a program of the page and returns its output so far.
func (r *recipe) run(name string, args ...string) (output func() string) {
	r.t.Helper()
	out, err := os.Create(r.path("output"))
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(name, args...) //nolint:gosec,noctx // the page's own, which the test stops
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, out, time.Second
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill() // the program may have ended
		_ = cmd.Wait()         // killed
		_ = out.Close()        // the file is read by its name
		if r.t.Failed() {
			r.t.Log(r.text("output"))
		}
	})
	return func() string { return r.text("output") }
}

// deleteUser deletes a user in the fake Kazoo.
func (r *recipe) deleteUser(id string) {
	r.t.Helper()
	if err := r.kazoo.DeleteUser(id); err != nil {
		r.t.Fatal(err)
	}
}

// lastError waits until the destination's last error contains a text.
func (r *recipe) lastError(text string) {
	r.t.Helper()
	said := ""
	r.process.until("the destination's error is "+text, func() bool {
		said = r.fetch("/api/destinations")
		return strings.Contains(said, text)
	})
	if strings.Contains(said, "change me") || strings.Contains(said, "change%20me") {
		r.t.Error("the API tells the password")
	}
}

func (r *recipe) fetch(path string) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.process.admin+path, http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(body)
}

// until waits until an output contains a text.
func (r *recipe) until(output func() string, text string) {
	r.t.Helper()
	for deadline := time.Now().Add(4 * time.Minute); !strings.Contains(output(), text); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("the output has no %s", text)
		}
	}
}
