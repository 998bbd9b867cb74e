package measure

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"kazoohook/internal/fakekazoo"
)

// program is the real receiver, registered with a fake Kazoo.
type program struct {
	cmd                   *exec.Cmd
	public, admin         string        // addresses
	listens, first, ready time.Duration // since the start of the process; first: until the first 200
	killed                bool
}

// buildProgram makes the receiver as `make build` does.
func buildProgram(ctx context.Context, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, "kazoohook/cmd/kazoohook") //nolint:gosec // fixed arguments
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the receiver: %w: %s", err, out)
	}
	return nil
}

// withProgram runs the receiver on a data directory, waits until it is ready and
// calls do. Then it stops the receiver by SIGTERM, unless do has killed it. environ
// is added to the receiver's environment.
func (m *measurer) withProgram(ctx context.Context, data string, do func(*program) error, environ ...string) (err error) {
	kazoo := fakekazoo.New(fakekazoo.Options{})
	defer kazoo.Close()
	api := httptest.NewServer(kazoo.API())
	defer api.Close()
	p := &program{cmd: exec.CommandContext(ctx, m.o.Program, "serve")} //nolint:gosec // the receiver
	p.cmd.Env = append(os.Environ(),
		"KAZOO_API_URL="+api.URL, "KAZOO_USERNAME="+fakekazoo.DefaultUsername, "KAZOO_PASSWORD="+fakekazoo.DefaultPassword,
		"KAZOO_ACCOUNT_NAME=acme", "PUBLIC_URL=http://127.0.0.1:1", "LISTEN_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "DATA_DIR="+data,
		"HOOK_SECRET="+secret, "HOOKS=object:user:doc_deleted,channel_create", "JOURNAL_RETENTION=87600h", "LOG_FORMAT=json")
	p.cmd.Env = append(p.cmd.Env, environ...)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.cmd.Stderr = os.Stderr
	start := time.Now()
	if err := p.cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // if it has ended already, Wait reports why
		if end := p.cmd.Wait(); !p.killed {
			err = errors.Join(err, end)
		}
	}()
	if err := p.awaitListening(out); err != nil {
		return err
	}
	p.listens = time.Since(start)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	if err := p.awaitFirst(ctx, &m.next); err != nil {
		return err
	}
	p.first = time.Since(start)
	if err := p.awaitReady(ctx); err != nil {
		return err
	}
	p.ready = time.Since(start)
	return do(p)
}

// awaitFirst sends requests until one is answered 200.
func (p *program) awaitFirst(ctx context.Context, next *serial) error {
	for end := time.Now().Add(waitLimit); ; time.Sleep(time.Millisecond) {
		_, err := senders(ctx, p.public, 1, func(s *sender) ([]time.Duration, error) {
			return make([]time.Duration, 1), s.send(next.Add(1))
		})
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("the receiver took no request within %s: %w", waitLimit, err)
		}
	}
}

func (p *program) kill() error {
	p.killed = true
	return p.cmd.Process.Kill()
}

// awaitListening reads the log up to the line that has the addresses.
func (p *program) awaitListening(out io.Reader) error {
	for lines := bufio.NewReader(out); ; {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("the receiver did not start: %w", err)
		}
		var line struct{ Message, Listen, Admin string }
		if json.Unmarshal(text, &line) == nil && strings.Contains(line.Message, "is listening") {
			p.public, p.admin = line.Listen, line.Admin
			return nil
		}
	}
}

func (p *program) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	for {
		body, err := fetch(ctx, "http://"+p.public+"/readyz", io.Discard)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the receiver did not become ready: %w (%d bytes)", err, body)
		}
		time.Sleep(time.Millisecond)
	}
}

// fetch copies an answer and returns its size.
func fetch(ctx context.Context, url string, to io.Writer) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := new(http.Client).Do(req)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(to, resp.Body)
	if resp.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("%s answered %s", url, resp.Status))
	}
	return n, errors.Join(err, resp.Body.Close())
}
