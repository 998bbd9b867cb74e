// Package acmetest runs an ACME CA for tests: Let's Encrypt's Pebble, in this
// process, with a DNS server that resolves every name to this machine.
//
// Its goroutines are Pebble's own; those that check challenges never end.
package acmetest

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/letsencrypt/challtestsrv"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// Options configure the CA.
type Options struct {
	HTTPPort, TLSPort int           // ports at which it checks the challenges of every name; 0: a port without a listener
	Life              time.Duration // of certificates; 0: 90 days
	RejectNonces      int           // percentage of good nonces to refuse
}

// CA is a running CA.
type CA struct {
	URL       string // of its directory
	RootsFile string // PEM of its own server's certificate
	Root      []byte // DER of the root of the certificates that it gives

	server *httptest.Server
	dns    *challtestsrv.ChallSrv
	issued atomic.Int64
}

// Start runs a CA until the test ends. The test can't be parallel: Pebble reads the
// process's environment.
func Start(t *testing.T, o Options) *CA {
	t.Helper()
	t.Setenv("PEBBLE_WFE_NONCEREJECT", strconv.Itoa(o.RejectNonces))
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_AUTHZREUSE", "0") // each certificate needs a challenge of its own
	c := &CA{}
	logger := log.New(counting{c}, "", 0)
	address := FreeAddr(t)
	var err error
	if c.dns, err = challtestsrv.New(challtestsrv.Config{DNSAddrs: []string{address}, Log: log.New(io.Discard, "", 0)}); err != nil {
		t.Fatal(err)
	}
	c.dns.SetDefaultDNSIPv6("")
	go c.dns.Run()
	t.Cleanup(c.dns.Shutdown)
	awaitTCP(t, address)
	port := func(n int) int {
		if n == 0 {
			return Port(t, FreeAddr(t))
		}
		return n
	}
	store := db.NewMemoryStore()
	authority := ca.New(logger, store, "", "rsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: uint64(o.Life.Seconds())}})
	c.Root = authority.GetRootCert(0).DER
	checks := va.New(logger, port(o.HTTPPort), port(o.TLSPort), false, address, store)
	front := wfe.New(logger, store, checks, authority, []string{"pebble.letsencrypt.org"}, false, false, 1, 1)
	c.server = httptest.NewTLSServer(front.Handler())
	t.Cleanup(c.server.Close)
	c.URL = c.server.URL + wfe.DirectoryPath
	c.RootsFile = filepath.Join(t.TempDir(), "acme-ca.pem")
	if err := os.WriteFile(c.RootsFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// Break makes every challenge of a name fail.
func (c *CA) Break(name string) { c.dns.AddDNSServFailRecord(name + ".") }

// Heal ends Break.
func (c *CA) Heal(name string) { c.dns.DeleteDNSServFailRecord(name + ".") }

// Stop ends the CA's own server, so that it can't be reached any more.
func (c *CA) Stop() { c.server.Close() }

// Issued is the number of certificates that it has given.
func (c *CA) Issued() int64 { return c.issued.Load() }

// counting counts the certificates that Pebble's log mentions.
type counting struct{ ca *CA }

// Write takes a line of Pebble's log.
func (w counting) Write(line []byte) (int, error) {
	if strings.Contains(string(line), "Issued certificate serial") {
		w.ca.issued.Add(1)
	}
	return len(line), nil
}

// The ports of FreeAddr are below those that the system gives to whoever asks for any free
// port, so that no other test takes one before it is used. Each process begins elsewhere.
const firstPort, ports = 10_000, 20_000

var (
	begin = rand.Uint64N(ports) //nolint:gosec // no secret
	given atomic.Uint64
)

// FreeAddr returns an address of this machine without a listener.
func FreeAddr(t *testing.T) string {
	t.Helper()
	for {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+(begin+given.Add(1))%ports)
		ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err == nil {
			_ = ln.Close()
			return address
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
	}
}

// Port returns the port of an address.
func Port(t *testing.T, address string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func awaitTCP(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
