package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// result is one measurement.
type result struct {
	Variant       string
	Conns         int
	PerSecond     float64
	Median, P99   time.Duration // of one request, as the client sees it
	SyncsPerEvent float64
	ResidentKB    int64
}

// measure starts a variant, loads it in a closed loop and stops it.
func measure(ctx context.Context, variant, base string, conns int, span time.Duration) (result, error) {
	dir, err := os.MkdirTemp(base, variant)
	if err != nil {
		return result{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	cmd := exec.CommandContext(ctx, self) //nolint:gosec // ourselves
	cmd.Env = append(os.Environ(), "BENCH_SERVER="+variant, "BENCH_DIR="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return result{}, err
	}
	if err := cmd.Start(); err != nil {
		return result{}, err
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		return result{}, errors.Join(errors.New("the server said nothing"), cmd.Wait())
	}
	r, err := load(lines.Text(), conns, span)
	if err != nil {
		return result{}, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return result{}, err
	}
	var s serverReport
	if !lines.Scan() {
		return result{}, errors.Join(errors.New("the server made no report"), cmd.Wait())
	}
	if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
		return result{}, err
	}
	r.Variant, r.Conns, r.ResidentKB = variant, conns, s.ResidentKB
	if s.Appends > 0 {
		r.SyncsPerEvent = float64(s.Transactions) / float64(s.Appends)
	}
	return r, errors.Join(cmd.Wait(), os.RemoveAll(dir))
}

// load sends deliveries over keep-alive connections, each as soon as the last
// is answered, for a while.
func load(addr string, conns int, span time.Duration) (result, error) {
	var wg sync.WaitGroup
	var serial atomic.Int64
	times := make([][]time.Duration, conns)
	errs := make([]error, conns)
	start := time.Now()
	for i := range conns {
		wg.Go(func() { times[i], errs[i] = loadOne(addr, start.Add(span), &serial) })
	}
	wg.Wait()
	took := time.Since(start)
	if err := errors.Join(errs...); err != nil {
		return result{}, err
	}
	all := slices.Concat(times...)
	slices.Sort(all)
	return result{PerSecond: float64(len(all)) / took.Seconds(), Median: all[len(all)/2], P99: all[len(all)*99/100]}, nil
}

func loadOne(addr string, until time.Time, serial *atomic.Int64) ([]time.Duration, error) {
	var d net.Dialer
	conn, err := d.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // nothing is left to be sent
	in := bufio.NewReader(conn)
	var times []time.Duration
	var buf []byte
	for now := time.Now(); now.Before(until); {
		buf = appendRequest(buf[:0], addr, serial.Add(1))
		if _, err := conn.Write(buf); err != nil {
			return nil, err
		}
		if err := readAnswer(in); err != nil {
			return nil, err
		}
		end := time.Now()
		times, now = append(times, end.Sub(now)), end
	}
	return times, nil
}

// appendRequest is a delivery of an object event as Kazoo sends it, each of
// another object.
func appendRequest(dst []byte, addr string, n int64) []byte {
	id := strconv.FormatInt(n, 16)
	id = strings.Repeat("0", 32-len(id)) + id
	body := "id=" + id + "&account_id=c0ffee00aa11bb22cc33dd44ee55ff66&action=doc_deleted&type=user&cluster_id=a1b2c3d4e5f60718293a4b5c6d7e8f90"
	return fmt.Appendf(dst, "POST /kazoo/"+secret+"/object HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n"+
		"X-Hook-ID: 0a1b2c3d4e5f60718293a4b5c6d7e8f9\r\nX-Account-ID: c0ffee00aa11bb22cc33dd44ee55ff66\r\nContent-Length: %d\r\n\r\n%s", addr, len(body), body)
}

// readAnswer reads one answer with a known length.
func readAnswer(in *bufio.Reader) error {
	length := 0
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		switch s := strings.TrimSpace(string(line)); {
		case first && !strings.HasPrefix(s, "HTTP/1.1 200 "):
			return fmt.Errorf("answered %q", s)
		case s == "":
			_, err := in.Discard(length)
			return err
		default:
			if v, ok := strings.CutPrefix(s, "Content-Length: "); ok {
				if length, err = strconv.Atoi(v); err != nil {
					return err
				}
			}
		}
	}
}

// syncTime is the median time that the disk takes to append and sync one frame
// of a write-ahead log: a page and its header.
func syncTime(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "sync")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(f.Name()) }() // its directory is removed, too
	frame := make([]byte, 4096+24)
	times := make([]time.Duration, 500)
	for i := range times {
		start := time.Now()
		if _, err := f.Write(frame); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
		times[i] = time.Since(start)
	}
	slices.Sort(times)
	return times[len(times)/2], f.Close()
}
