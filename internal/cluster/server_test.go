package cluster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
)

// TestQuestionsAreRepeated asks a server that has not found the others. The first
// question about the stream gets no answer, so it is asked again soon.
func TestQuestionsAreRepeated(t *testing.T) {
	t.Parallel()
	n := startStream(t, testOptions(t)[0])
	other, err := n.embedded.dial(appUser)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var asked atomic.Int64
	_, err = other.Subscribe("$JS.API.STREAM.INFO."+streamName, func(m *nats.Msg) {
		if asked.Add(1) > 1 {
			_ = m.Respond([]byte(`{"type":"io.nats.jetstream.api.v1.stream_info_response","error":{"code":404,"err_code":10059,"description":"stream not found"}}`))
		}
	})
	if err == nil {
		err = other.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.stream.Load().state(t.Context()); !errors.Is(err, errNoStream) {
		t.Logf("the answers came too late: %v", err) // on a busy machine
	}
	eventually(t, "second question of one call", func() error {
		if calls := asked.Load(); calls < 2 {
			return fmt.Errorf("it was asked %d times", calls)
		}
		return nil
	})
}

// TestPortInUse: a node that can't listen for the others ends: it would never try again.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	o := testOptions(t)[0]
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", o.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	n, err := Start(t.Context(), o)
	if err == nil {
		_ = n.Close()
		t.Fatal("a server without a port was started")
	}
	if !strings.Contains(err.Error(), "CLUSTER_LISTEN") || !strings.Contains(err.Error(), "address already in use") {
		t.Error(err)
	}
}

// TestServerWithoutFiles: a node whose server can't open its files, as on a full disk,
// says so and ends cleanly.
func TestServerWithoutFiles(t *testing.T) {
	t.Parallel()
	o := Options{Dir: t.TempDir(), Node: "n1", Listen: "127.0.0.1:0", Peers: []string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}, Size: 3, Secret: "the secret of this cluster", Log: zerolog.Nop()}
	if err := os.MkdirAll(o.dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.dir(), "nats"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := Start(t.Context(), o)
	if err == nil {
		_ = n.Close()
		t.Fatal("a server without files was started")
	}
	if !strings.Contains(err.Error(), "Can't start JetStream") {
		t.Error(err)
	}
}
