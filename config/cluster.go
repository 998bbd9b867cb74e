package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Peers are the nodes of a cluster, host:port, or one name that resolves to all.
type Peers []string

// hostName matches a name that DNS or /etc/hosts may know; it needs no dot.
var hostName = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?$`)

// UnmarshalText accepts host:port separated by commas, each once.
func (p *Peers) UnmarshalText(text []byte) error {
	var out Peers
	var problems []error
	for entry := range strings.SplitSeq(string(text), ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		peer := strings.ToLower(entry)
		switch host, port, err := net.SplitHostPort(peer); {
		case err != nil || !validPort(port):
			problems = append(problems, valueError{entry, "is not a node; use host:port, e.g. node1.example.com:6222"})
		case !isHost(host):
			problems = append(problems, valueError{entry, "has no host name or address; use host:port, e.g. node1.example.com:6222"})
		case slices.Contains(out, peer):
			problems = append(problems, valueError{entry, "is named twice; name each node once"})
		default:
			out = append(out, peer)
		}
	}
	if problems != nil {
		return errors.Join(problems...)
	}
	*p = out
	return nil
}

// String returns the nodes separated by commas.
func (p Peers) String() string { return strings.Join(p, ",") }

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == port
}

func isHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return !a.IsUnspecified()
	}
	digits := strings.Trim(host, "0123456789.") == "" // an invalid address
	return !digits && len(host) <= 253 && hostName.MatchString(host)
}

// NodeCount is the number of nodes of a cluster; 0 if it isn't given.
type NodeCount int

// UnmarshalText accepts 3, 5 and the empty text (not given).
func (n *NodeCount) UnmarshalText(text []byte) error {
	switch string(text) {
	case "":
		*n = 0
	case "3":
		*n = 3
	case "5":
		*n = 5
	default:
		return errors.New("is not the size of a cluster; use 3, which survives the loss of one node, or 5, which survives the loss of two")
	}
	return nil
}

// String returns the number, or "" where it isn't given.
func (n NodeCount) String() string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}

// Clustered reports whether this is a node of a cluster.
func (c *Config) Clustered() bool { return len(c.ClusterPeers) > 0 }

// deriveCluster sets the settings of a cluster that were not given and follow from
// others.
func (c *Config) deriveCluster() {
	if !c.Clustered() {
		return
	}
	if n := len(c.ClusterPeers); c.ClusterSize == 0 && (n == 3 || n == 5) {
		c.ClusterSize = NodeCount(n)
	}
	if c.ClusterNode == "" {
		c.ClusterNode, _ = os.Hostname() // validate reports a missing name
	}
}

// nodeName matches the valid names of nodes. The cluster's servers have the same
// names, and people type them.
var nodeName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// cluster checks that the settings of a cluster are all given, or none.
func (v *validator) cluster() {
	if !v.Clustered() {
		v.notClustered()
		return
	}
	v.clusterSize()
	if n := v.ClusterNode; !nodeName.MatchString(n) {
		v.fail("CLUSTER_NODE", n, "is not a valid name of a node; use 1 to 63 characters of A-Z a-z 0-9 . _ -, different on each node")
	}
	const use = "use at least 16 characters, the same on every node"
	switch s := v.ClusterSecret; {
	case s.Empty():
		v.fail("CLUSTER_SECRET", "", "is missing although CLUSTER_PEERS is given; %s", use)
	case len(s.Reveal()) < minSecret:
		v.fail("CLUSTER_SECRET", masked, "is too short; %s", use)
	}
	switch s := v.ClusterSecretPrevious; {
	case s.Empty():
	case len(s.Reveal()) < minSecret:
		v.fail("CLUSTER_SECRET_PREVIOUS", masked, "is too short; %s", use)
	case s.Equal(v.ClusterSecret):
		v.fail("CLUSTER_SECRET_PREVIOUS", masked, "equals CLUSTER_SECRET; give the former secret, or leave it out")
	}
	switch a := v.ClusterListen; {
	case a.Off():
		v.fail("CLUSTER_LISTEN", off, "is not possible with CLUSTER_PEERS; use host:port or :port, e.g. :6222")
	case strings.HasSuffix(string(a), ":0"):
		v.fail("CLUSTER_LISTEN", a.String(), "has no port that the other nodes could know; use host:port or :port, e.g. :6222")
	case a == v.ListenAddr || a == v.AdminAddr:
		v.fail("CLUSTER_LISTEN", a.String(), "is another listener's address too; use another")
	}
	if len(v.AcmeDomains) > 0 {
		v.fail("ACME_DOMAINS", v.AcmeDomains.String(), "is given together with CLUSTER_PEERS; nodes can't answer each other's checks of the CA: end TLS at the balancer, or use TLS_CERT_FILE on each node")
	}
}

// clusterSize refuses a number of nodes that is worse than a smaller number.
func (v *validator) clusterSize() {
	peers, size := len(v.ClusterPeers), int(v.ClusterSize)
	switch {
	case peers == 1:
		host, _, _ := net.SplitHostPort(v.ClusterPeers[0])
		if _, err := netip.ParseAddr(host); err == nil {
			v.fail("CLUSTER_PEERS", v.ClusterPeers.String(), "is the address of one node; name all three or five, or one name that resolves to all")
			return
		}
		if size == 0 {
			v.fail("CLUSTER_SIZE", "", "is missing although CLUSTER_PEERS is one name; give the number of nodes, 3 or 5")
		}
	case peers == 2:
		v.fail("CLUSTER_PEERS", v.ClusterPeers.String(), "names 2 nodes, which is worse than one: if either is lost, the other can't know that it may go on; name 3 nodes, or 5")
	case peers != 3 && peers != 5:
		v.fail("CLUSTER_PEERS", v.ClusterPeers.String(), "names %d nodes; name 3, which survive the loss of one, or 5, which survive the loss of two", peers)
	case size != peers:
		v.fail("CLUSTER_SIZE", v.ClusterSize.String(), "is not the number of nodes that CLUSTER_PEERS names, %d; leave it out, or name all nodes", peers)
	}
}

// notClustered refuses settings of a cluster without peers: each node would run as
// a single one.
func (v *validator) notClustered() {
	var given []string
	for _, s := range []struct {
		name string
		set  bool
	}{
		{"CLUSTER_SIZE", v.ClusterSize != 0}, {"CLUSTER_SECRET", !v.ClusterSecret.Empty()},
		{"CLUSTER_SECRET_PREVIOUS", !v.ClusterSecretPrevious.Empty()},
	} {
		if s.set {
			given = append(given, s.name)
		}
	}
	if len(given) > 0 && !v.bad["CLUSTER_PEERS"] {
		v.fail("CLUSTER_PEERS", "", "is missing although %s is given; name all nodes, or leave out every CLUSTER_ setting for a single node", strings.Join(given, ", "))
	}
}

// warnOfCluster warns of what is allowed but probably not meant.
func (c *Config) warnOfCluster(warn func(format string, args ...any)) {
	if !c.Clustered() {
		if c.ClusterNode != "" {
			warn("CLUSTER_NODE: has no effect without CLUSTER_PEERS")
		}
		return
	}
	if c.ClusterListen.loopback() && slices.ContainsFunc(c.ClusterPeers, func(p string) bool { return !Addr(p).loopback() }) {
		warn("CLUSTER_LISTEN: %s can be reached from this machine only, and CLUSTER_PEERS names others; use :6222", c.ClusterListen)
	}
	if len(c.TrustedProxies) == 0 {
		warn("TRUSTED_PROXIES: is not given, so a balancer's X-Request-Id is not believed; if it tries a request at another node, an edit may become two events")
	}
}

// ClusterSettings returns, by name, the settings that decide what is received, kept
// and delivered. All nodes of a cluster must have the same. The values are for
// comparison only: a value that may hold a secret is replaced by a digest.
func (c *Config) ClusterSettings(digest func(text string) string) map[string]string {
	out := map[string]string{}
	names := []string{
		"KAZOO_API_URL", "KAZOO_ACCOUNT_ID", "KAZOO_HMAC", "PUBLIC_URL", "HOOKS", "HOOK_NAME", "HOOK_RETRIES", "INCLUDE_SUBACCOUNTS", "HOOK_FORMAT",
		"HOOK_INTERNAL_LEGS", "RESYNC_MAX_DELETIONS", "JOURNAL_RETENTION", "JOURNAL_MAX_BYTES", "BACKLOG_MAX", "CLUSTER_SIZE",
	}
	for _, v := range Variables() {
		if slices.Contains(names, v.Name) {
			out[v.Name] = v.format(c)
		}
	}
	if !c.HookSecret.Empty() && c.origins["HOOK_SECRET"] != "" { // otherwise it is generated and shared
		out["HOOK_SECRET"] = digest(c.HookSecret.Reveal())
	}
	for _, d := range c.Destinations {
		out["destination "+d.Name] = digest(d.decides())
	}
	return out
}

// decides returns the settings of a destination that must be the same on every
// node: all but secrets and the content of files, which may change on one node
// after the other.
func (d Destination) decides() string {
	var b strings.Builder
	for _, k := range destinationKeys() {
		if k.of(d.Type) && !k.secret && d.files[k.name+fileKeySuffix] == "" {
			fmt.Fprintf(&b, "%s=%v\n", k.name, k.show(d))
		}
	}
	b.WriteString(d.URL.Reveal())
	return b.String()
}

const fileKeySuffix = "_file"
