package measure

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// child is a server in a process of its own.
type child struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
	dir   string
}

// startChild starts a variant with a directory of its own.
func (m *measurer) startChild(ctx context.Context, variant, profile string) (*child, error) {
	dir, err := os.MkdirTemp(m.base, variant)
	if err != nil {
		return nil, err
	}
	binary := m.o.Against
	if variant == before {
		variant = full
	} else if binary, err = os.Executable(); err != nil {
		return nil, err
	}
	c := &child{dir: dir, cmd: exec.CommandContext(ctx, binary)} //nolint:gosec // ourselves, or what the caller names
	c.cmd.Env = append(os.Environ(), ServerVariable+"="+variant, dirVariable+"="+dir, profileVariable+"="+profile)
	c.cmd.Stderr = os.Stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	c.lines = bufio.NewScanner(out)
	c.lines.Buffer(nil, 16<<20)
	if !c.lines.Scan() {
		return nil, errors.Join(fmt.Errorf("the server %q said nothing", variant), c.lines.Err(), c.stop())
	}
	c.addr = c.lines.Text()
	return c, nil
}

// report asks the server for its figures so far.
func (c *child) report() (r serverReport, err error) {
	if _, err := io.WriteString(c.stdin, "report\n"); err != nil {
		return r, err
	}
	if !c.lines.Scan() {
		return r, errors.Join(errors.New("the server made no report"), c.lines.Err())
	}
	err = json.Unmarshal(c.lines.Bytes(), &r)
	return r, err
}

func (c *child) resident() (now, peak float64) { return residentMB(c.cmd.Process.Pid) }

// stop ends the server and removes its directory.
func (c *child) stop() error {
	return errors.Join(c.stdin.Close(), c.cmd.Wait(), os.RemoveAll(c.dir))
}
