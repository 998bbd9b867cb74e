package cluster

import (
	"bytes"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func TestSecretsAreSealed(t *testing.T) {
	t.Parallel()
	const first, second = "the first secret of all", "the second secret of all"
	value := []byte("whsec_something")
	text, err := seal("hook", value, first)
	if err != nil {
		t.Fatal(err)
	}
	if contains(text, "whsec") {
		t.Errorf("it shows the secret: %s", text)
	}
	if again, err := seal("hook", value, first); err != nil || again == text {
		t.Errorf("the same value gives the same text (%v)", err)
	}
	for name, c := range map[string]struct {
		name    string
		text    string
		secrets []string
		want    error
	}{
		"with its secret":         {"hook", text, []string{first, ""}, nil},
		"with the previous":       {"hook", text, []string{second, first}, nil},
		"with another":            {"hook", text, []string{second}, ErrSealed},
		"under another name":      {"key", text, []string{first}, ErrSealed},
		"with a byte that is off": {"hook", text[:len(text)-2] + "AA", []string{first}, ErrSealed},
		"too short":               {"hook", "AAAA", []string{first}, ErrSealed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := unseal(c.name, c.text, c.secrets...)
			if !is(err, c.want) || err == nil && !bytes.Equal(got, value) {
				t.Errorf("got %q: %v", got, err)
			}
		})
	}
	if _, err := unseal("hook", "not base64!", first); err == nil {
		t.Error("a text that is no base64 is opened")
	}
}

// TestSealedForSeveral: while CLUSTER_SECRET is being changed, a node with either
// secret can open what is shared.
func TestSealedForSeveral(t *testing.T) {
	t.Parallel()
	const first, second, third = "the first secret of all", "the second secret of all", "the third secret of all"
	value := []byte("whsec_something")
	for name, c := range map[string]struct {
		sealed    []string // secrets that the writer knows
		own       []string // secrets that the leader knows
		current   bool     // the leader leaves it as it is
		openFirst bool     // a node that knows only the first secret can open it
	}{
		"as it was":              {[]string{first, ""}, []string{first, ""}, true, true},
		"the leader has the new": {[]string{first}, []string{second, first}, false, true},
		"sealed for both":        {[]string{second, first}, []string{second, first}, true, true},
		"a leader with the old":  {[]string{second, first}, []string{first, ""}, false, true},
		"the old is taken away":  {[]string{second, first}, []string{second, ""}, false, true},
		"sealed for the new":     {[]string{second}, []string{second}, true, false},
		"in another order":       {[]string{first, second}, []string{second, first}, false, true},
		"for others":             {[]string{second, third}, []string{second, first}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := seal("hook", value, c.sealed...)
			if err != nil {
				t.Fatal(err)
			}
			if got := sealedFor("hook", text, slices.Clone(c.own)...); got != c.current {
				t.Errorf("sealed for %q: %v", c.own, got)
			}
			if got, err := unseal("hook", text, c.own...); err != nil || !bytes.Equal(got, value) {
				t.Errorf("%q, %v", got, err)
			}
			if got, err := unseal("hook", text, first); (err == nil) != c.openFirst {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// TestTrust makes TLS handshakes between nodes with various secrets.
func TestTrust(t *testing.T) {
	t.Parallel()
	const a, b, c = "the secret named a", "the secret named b", "the secret named c"
	for name, test := range map[string]struct {
		one, other []string
		trusted    bool
	}{
		"the same secret":           {[]string{a}, []string{a}, true},
		"another secret":            {[]string{a}, []string{b}, false},
		"one already has the new":   {[]string{b, a}, []string{a, ""}, true},
		"one no longer has the old": {[]string{b}, []string{b, a}, true},
		"nothing in common":         {[]string{b, a}, []string{c}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serverTLS, err := trust(test.one...)
			if err != nil {
				t.Fatal(err)
			}
			clientTLS, err := trust(test.other...)
			if err != nil {
				t.Fatal(err)
			}
			l, err := tls.Listen("tcp", "127.0.0.1:0", serverTLS)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			served := make(chan error, 1)
			go func() {
				c, err := l.Accept()
				if err == nil {
					err = errors.Join(c.(*tls.Conn).HandshakeContext(t.Context()), c.Close())
				}
				served <- err
			}()
			client, cerr := (&tls.Dialer{Config: clientTLS}).DialContext(t.Context(), "tcp", l.Addr().String())
			serr := <-served
			if client != nil {
				_ = client.Close()
			}
			if ok := cerr == nil && serr == nil; ok != test.trusted {
				t.Errorf("trusted is %v: %v, %v", ok, cerr, serr)
			}
		})
	}
	t.Run("without a certificate", func(t *testing.T) {
		t.Parallel()
		config, err := trust(a)
		if err != nil {
			t.Fatal(err)
		}
		if err := config.VerifyConnection(tls.ConnectionState{}); !is(err, errStranger) {
			t.Errorf("got %v", err)
		}
	})
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cluster")
	first, err := identify(dir, "n1")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := identify(dir, "n1"); err != nil || again != first {
		t.Errorf("the second time it is %v, %v", again, err)
	}
	if _, err := identify(dir, "n2"); err == nil || !contains(err.Error(), `DATA_DIR belongs to node "n1", and CLUSTER_NODE is "n2"`) {
		t.Errorf("another's directory: %v", err)
	}
	if err := clearServer(dir); err != nil {
		t.Fatal(err)
	}
	anew, err := identify(dir, "n1")
	if err != nil || anew.server() == first.server() {
		t.Errorf("an emptied directory has the same server: %v, %v", anew, err)
	}
	if err := os.WriteFile(filepath.Join(dir, identityName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := identify(dir, "n1"); err == nil || !contains(err.Error(), "doesn't say which node") {
		t.Errorf("a damaged file: %v", err)
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if o, err := readOrder(dir); err != nil || o != (order{}) {
		t.Errorf("without one: %v, %v", o, err)
	}
	want := order{Epoch: "e1", Founder: "n2", Anew: true, Rename: true}
	if err := want.write(dir); err != nil {
		t.Fatal(err)
	}
	if o, err := readOrder(dir); err != nil || o != want {
		t.Errorf("got %v, %v", o, err)
	}
	for range 2 {
		if err := want.done(dir); err != nil {
			t.Error(err)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("left are %v, %v", files, err)
	}
}
