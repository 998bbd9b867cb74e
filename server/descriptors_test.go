package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rs/zerolog"

	"kazoohook/server"
	"kazoohook/server/acmetest"
)

// fewFiles is the variable that makes this program the server of TestFewDescriptors.
const fewFiles = "KAZOOHOOK_TEST_FEW_FILES"

// TestFewDescriptors: a process that may open 64 files answers although 200 connections
// to each of its public listeners, ACME's included, are open. It warns at its start
// that it takes fewer.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	if os.Getenv(fewFiles) != "" {
		serveWithFewFiles(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFewDescriptors$") //nolint:gosec // this program itself
	cmd.Env = append(os.Environ(), fewFiles+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	warned, addr, challenges := false, "", ""
	for addr == "" && lines.Scan() {
		warned = warned || strings.Contains(lines.Text(), "RLIMIT_NOFILE") && strings.Contains(lines.Text(), `"files":64`)
		_, both, _ := strings.Cut(lines.Text(), "listening on ")
		addr, challenges, _ = strings.Cut(both, " and ")
	}
	if !warned {
		t.Error("no warning")
	}
	for _, listener := range []string{challenges, addr} {
		for range 200 {
			c, err := dialMaybe(t, listener)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
		}
	}
	for range 5 {
		c, err := dialMaybe(t, addr)
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := ask(t, c, asksHealth+"\r\n"); status != "200 OK" {
			t.Errorf("healthz: %q", status)
		}
		_ = c.Close()
	}
	_ = in.Close()
	rest, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, rest)
	}
	if strings.Contains(string(rest), "too many open files") {
		t.Errorf("a connection could not be accepted: %s", rest)
	}
}

// serveWithFewFiles serves until standard input ends.
func serveWithFewFiles(t *testing.T) {
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: 64}); err != nil {
		t.Fatal(err)
	}
	challenges := acmetest.FreeAddr(t) // for the listener of HTTP-01
	acme := server.NewACME(server.ACMEOptions{
		Domains: []string{"hooks.example.com"}, CA: "https://127.0.0.1:1/directory", HTTPAddr: challenges, Dir: t.TempDir(), Log: zerolog.New(os.Stdout),
	})
	s, err := server.New(t.Context(), server.Options{
		HTTPChallenges: acme.AnswersHTTP(),
		PublicAddr:     "127.0.0.1:0", Public: http.HandlerFunc(ok), Log: zerolog.New(os.Stdout),
		AdminAddr: "127.0.0.1:0", Admin: http.HandlerFunc(ok),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := contextUntil(t, os.Stdin)
	defer stop()
	var renewing sync.WaitGroup
	renewing.Go(func() { _ = acme.Run(ctx, s.Addr()) }) // no CA answers
	for listens := false; !listens; {
		if c, err := dialMaybe(t, challenges); err == nil {
			listens = true
			_ = c.Close()
		}
	}
	fmt.Println("listening on " + s.Addr().String() + " and " + challenges)
	defer renewing.Wait()
	if err := s.Serve(ctx); err != nil {
		t.Error(err)
	}
}
