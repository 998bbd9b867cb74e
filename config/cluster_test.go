package config

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

const (
	threePeers = "CLUSTER_PEERS=One.example.com:6222, two.example.com:6222,10.0.0.3:6222"
	nodeSecret = "CLUSTER_SECRET=the secret of this cluster"
)

// clustered are settings of a node.
func clustered(more ...string) []string {
	return append([]string{threePeers, nodeSecret, "CLUSTER_NODE=one", "TRUSTED_PROXIES=10.0.0.9"}, more...)
}

func TestClusterDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := Load(Options{Environ: with(threePeers, nodeSecret), Need: All})
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cfg.ClusterPeers.String(), "one.example.com:6222,two.example.com:6222,10.0.0.3:6222"; got != want {
		t.Errorf("peers %s", got)
	}
	if cfg.ClusterSize != 3 || cfg.ClusterListen != ":6222" || cfg.ClusterNode != host || !cfg.Clustered() {
		t.Errorf("got size %s, listen %s, node %q", cfg.ClusterSize, cfg.ClusterListen, cfg.ClusterNode)
	}
	single, err := Load(Options{Environ: with(), Need: All})
	if err != nil {
		t.Fatal(err)
	}
	if single.Clustered() || single.ClusterSize != 0 || single.ClusterNode != "" {
		t.Errorf("a single node got size %s and node %q", single.ClusterSize, single.ClusterNode)
	}
}

// TestClusterRules has a case for each rule, with the exact message.
func TestClusterRules(t *testing.T) {
	t.Parallel()
	const (
		short = "too short"
		use   = "use host:port, e.g. node1.example.com:6222"
	)
	for name, c := range map[string]struct {
		set  []string
		want []string
	}{
		"three":            {clustered(), nil},
		"three, and size":  {clustered("CLUSTER_SIZE=3"), nil},
		"five":             {clustered("CLUSTER_PEERS=a:1,b:1,c:1,d:1,e:1"), nil},
		"one name":         {clustered("CLUSTER_PEERS=kazoohook-nodes:6222", "CLUSTER_SIZE=5"), nil},
		"IPv6":             {clustered("CLUSTER_PEERS=[2001:db8::1]:6222,[2001:db8::2]:6222,[2001:db8::3]:6222"), nil},
		"one without size": {clustered("CLUSTER_PEERS=kazoohook-nodes:6222"), []string{"CLUSTER_SIZE: is missing although CLUSTER_PEERS is one name; give the number of nodes, 3 or 5"}},
		"one address": {clustered("CLUSTER_PEERS=10.0.0.1:6222", "CLUSTER_SIZE=3"),
			[]string{`CLUSTER_PEERS: "10.0.0.1:6222" is the address of one node; name all three or five, or one name that resolves to all`}},
		"two": {clustered("CLUSTER_PEERS=a:6222,b:6222"),
			[]string{`CLUSTER_PEERS: "a:6222,b:6222" names 2 nodes, which is worse than one: if either is lost, the other can't know that it may go on; name 3 nodes, or 5`}},
		"four": {clustered("CLUSTER_PEERS=a:1,b:1,c:1,d:1"),
			[]string{`CLUSTER_PEERS: "a:1,b:1,c:1,d:1" names 4 nodes; name 3, which survive the loss of one, or 5, which survive the loss of two`}},
		"another size": {clustered("CLUSTER_SIZE=5"), []string{`CLUSTER_SIZE: "5" is not the number of nodes that CLUSTER_PEERS names, 3; leave it out, or name all nodes`}},
		"size of two": {clustered("CLUSTER_PEERS=nodes:6222", "CLUSTER_SIZE=2"),
			[]string{`CLUSTER_SIZE: "2" is not the size of a cluster; use 3, which survives the loss of one node, or 5, which survives the loss of two`}},
		"no port":      {clustered("CLUSTER_PEERS=a,b:6222,c:6222"), []string{`CLUSTER_PEERS: "a" is not a node; ` + use}},
		"port 0":       {clustered("CLUSTER_PEERS=a:0,b:6222,c:6222"), []string{`CLUSTER_PEERS: "a:0" is not a node; ` + use}},
		"URL":          {clustered("CLUSTER_PEERS=nats://a:6222,b:6222,c:6222"), []string{`CLUSTER_PEERS: "nats://a:6222" is not a node; ` + use}},
		"no host":      {clustered("CLUSTER_PEERS=:6222,b:6222,c:6222"), []string{`CLUSTER_PEERS: ":6222" has no host name or address; ` + use}},
		"unspecified":  {clustered("CLUSTER_PEERS=0.0.0.0:6222,b:6222,c:6222"), []string{`CLUSTER_PEERS: "0.0.0.0:6222" has no host name or address; ` + use}},
		"half address": {clustered("CLUSTER_PEERS=10.0.0:6222,b:6222,c:6222"), []string{`CLUSTER_PEERS: "10.0.0:6222" has no host name or address; ` + use}},
		"twice":        {clustered("CLUSTER_PEERS=a:6222,A:6222,c:6222"), []string{`CLUSTER_PEERS: "A:6222" is named twice; name each node once`}},
		"no secret":    {clustered("CLUSTER_SECRET="), []string{"CLUSTER_SECRET: is missing although CLUSTER_PEERS is given; use at least 16 characters, the same on every node"}},
		"short secrets": {clustered("CLUSTER_SECRET="+short, "CLUSTER_SECRET_PREVIOUS=shorter"), []string{
			`CLUSTER_SECRET: "***" is too short; use at least 16 characters, the same on every node`,
			`CLUSTER_SECRET_PREVIOUS: "***" is too short; use at least 16 characters, the same on every node`,
		}},
		"same secrets": {clustered("CLUSTER_SECRET_PREVIOUS=the secret of this cluster"), []string{`CLUSTER_SECRET_PREVIOUS: "***" equals CLUSTER_SECRET; give the former secret, or leave it out`}},
		"node":         {clustered("CLUSTER_NODE=node one"), []string{`CLUSTER_NODE: "node one" is not a valid name of a node; use 1 to 63 characters of A-Z a-z 0-9 . _ -, different on each node`}},
		"no listener":  {clustered("CLUSTER_LISTEN=off"), []string{`CLUSTER_LISTEN: "off" is not possible with CLUSTER_PEERS; use host:port or :port, e.g. :6222`}},
		"any port":     {clustered("CLUSTER_LISTEN=:0"), []string{`CLUSTER_LISTEN: ":0" has no port that the other nodes could know; use host:port or :port, e.g. :6222`}},
		"same port":    {clustered("CLUSTER_LISTEN=:8080"), []string{`CLUSTER_LISTEN: ":8080" is another listener's address too; use another`}},
		"ACME": {clustered("ACME_DOMAINS=hooks.example.com"),
			[]string{`ACME_DOMAINS: "hooks.example.com" is given together with CLUSTER_PEERS; nodes can't answer each other's checks of the CA: end TLS at the balancer, or use TLS_CERT_FILE on each node`}},
		"no peers": {[]string{nodeSecret, "CLUSTER_SIZE=3"},
			[]string{"CLUSTER_PEERS: is missing although CLUSTER_SIZE, CLUSTER_SECRET is given; name all nodes, or leave out every CLUSTER_ setting for a single node"}},
		"everything at once": {[]string{"CLUSTER_PEERS=a:6222,b:6222", "CLUSTER_NODE=-", "CLUSTER_LISTEN=off"}, []string{
			`CLUSTER_PEERS: "a:6222,b:6222" names 2 nodes, which is worse than one: if either is lost, the other can't know that it may go on; name 3 nodes, or 5`,
			`CLUSTER_LISTEN: "off" is not possible with CLUSTER_PEERS; use host:port or :port, e.g. :6222`,
			`CLUSTER_NODE: "-" is not a valid name of a node; use 1 to 63 characters of A-Z a-z 0-9 . _ -, different on each node`,
			"CLUSTER_SECRET: is missing although CLUSTER_PEERS is given; use at least 16 characters, the same on every node",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := Load(Options{Environ: with(c.set...), Need: All})
			if got := messages(t, err); !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			if err == nil && len(cfg.Warnings) > 0 {
				t.Errorf("warnings %q", cfg.Warnings)
			}
		})
	}
}

func TestClusterWarns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set  []string
		want string
	}{
		"node alone": {[]string{"CLUSTER_NODE=one"}, "CLUSTER_NODE: has no effect without CLUSTER_PEERS"},
		"loopback":   {clustered("CLUSTER_LISTEN=127.0.0.1:6222"), "CLUSTER_LISTEN: 127.0.0.1:6222 can be reached from this machine only, and CLUSTER_PEERS names others; use :6222"},
		"no proxy": {clustered("TRUSTED_PROXIES="),
			"TRUSTED_PROXIES: is not given, so a balancer's X-Request-Id is not believed; if it tries a request at another node, an edit may become two events"},
		"misspelt": {clustered("CLUSTER_PEER=a:6222"), "CLUSTER_PEER: is not a setting and has no effect; did you mean CLUSTER_PEERS?"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := Load(Options{Environ: with(c.set...), Need: All})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(cfg.Warnings, []string{c.want}) {
				t.Errorf("got %q", cfg.Warnings)
			}
		})
	}
}

// TestClusterSettings: settings that decide about events count as different, by name.
// Settings that may differ between nodes don't, and no secret is included.
func TestClusterSettings(t *testing.T) {
	t.Parallel()
	settings := func(more ...string) map[string]string {
		t.Helper()
		cfg, err := Load(Options{Environ: with(clustered(more...)...), Need: All})
		if err != nil {
			t.Fatal(err)
		}
		return cfg.ClusterSettings(func(s string) string { return fmt.Sprintf("digest of %d", len(s)) })
	}
	base := []string{"FORWARD_URL=https://billing.example.com/", "HOOK_SECRET=0123456789abcdef"}
	one := settings(base...)
	for name, c := range map[string]struct{ set, want string }{
		"hooks":       {"HOOKS=object:device", "HOOKS"},
		"retention":   {"JOURNAL_RETENTION=24h", "JOURNAL_RETENTION"},
		"secret":      {"HOOK_SECRET=0123456789abcdefg", "HOOK_SECRET"},
		"destination": {"FORWARD_URL=https://billing.example.com/other", "destination forward"},
		"its events":  {"FORWARD_EVENTS=user.deleted", "destination forward"},
		"node":        {"CLUSTER_NODE=two", ""},
		"listener":    {"LISTEN_ADDR=:8081", ""},
		"directory":   {"DATA_DIR=/elsewhere", ""},
		"log":         {"LOG_LEVEL=debug", ""},
		"signing key": {"FORWARD_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := settings(append(slices.Clone(base), c.set)...)
			var differ []string
			for k := range other {
				if other[k] != one[k] {
					differ = append(differ, k)
				}
			}
			if got := strings.Join(differ, " "); got != c.want {
				t.Errorf("differ: %q, want %q", got, c.want)
			}
		})
	}
	for k, v := range one {
		if strings.Contains(v, "0123456789abcdef") {
			t.Errorf("%s shows a secret", k)
		}
	}
	if _, ok := settings()["HOOK_SECRET"]; ok {
		t.Error("a generated hook secret counts as a setting, but the nodes share it")
	}
}
