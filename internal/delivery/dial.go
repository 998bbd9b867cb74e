package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"
)

// errMetadata: a connection was refused before it was made.
var errMetadata = errors.New("refused: it is the address of a cloud's metadata service, which gives credentials to whoever asks")

// control refuses metadata addresses. The dialer calls it for each address that a
// name resolved to, before it connects.
func control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("refused: %q is not an address and port", address)
	}
	if isMetadata(to.Addr()) {
		return errMetadata
	}
	return nil
}

// Prefixes of addresses that contain an IPv4 address, and the byte where it begins.
var embedded = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("::/96"), 12},                 // IPv4-compatible
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12},       // IPv4-translated (SIIT)
	{netip.MustParsePrefix("64:ff9b::/96"), 12},          // NAT64
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12},        // NAT64 of a site, with a prefix of 96 bits
	{netip.MustParsePrefix("2002::/16"), 2},              // 6to4
	{netip.MustParsePrefix("::5efe:0:0/96"), 12},         // ISATAP, without a network's prefix
	{netip.MustParsePrefix("::200:5efe:0:0/96"), 12},     // ISATAP
	{netip.MustParsePrefix("fe80::5efe:0:0/96"), 12},     // ISATAP
	{netip.MustParsePrefix("fe80::200:5efe:0:0/96"), 12}, // ISATAP
}

var (
	linkLocal4 = netip.MustParsePrefix("169.254.0.0/16")
	metadata6  = []netip.Addr{
		netip.MustParseAddr("fd00:ec2::254"),   // AWS
		netip.MustParseAddr("fd20:ce::254"),    // Google
		netip.MustParseAddr("fe80::a9fe:a9fe"), // OpenStack
	}
)

// isMetadata reports whether an address leads to a cloud's metadata service: any form
// of the IPv4 link-local addresses, or a known IPv6 address.
func isMetadata(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return linkLocal4.Contains(a)
	}
	for _, m := range metadata6 {
		if a == m {
			return true
		}
	}
	raw := a.As16()
	for _, e := range embedded {
		if e.prefix.Contains(a) && linkLocal4.Contains(netip.AddrFrom4([4]byte(raw[e.at:e.at+4]))) {
			return true
		}
	}
	return false
}

func newDialer() *net.Dialer {
	return &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: control}
}

// proxied checks destinations behind a proxy. There control sees only the proxy's
// address, so the name is resolved here, too. That is only a second line of defence:
// the proxy may resolve the name differently.
type proxied struct {
	proxy  func(*url.URL) (*url.URL, error)
	dialer *net.Dialer
	mu     sync.Mutex
	until  time.Time // mu: until when the last look-up is valid
	err    error     // mu: its result
}

// lookupEvery is how long the result of a look-up is valid.
const lookupEvery = time.Minute

// choose returns the proxy for a URL, nil for none.
func (p *proxied) choose(ctx context.Context, to *url.URL) (*url.URL, error) {
	via, err := p.proxy(to)
	if err != nil || via == nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.After(p.until) {
		p.err, p.until = p.lookup(ctx, to.Hostname()), now.Add(lookupEvery)
	}
	return via, p.err
}

// lookup refuses a name that resolves to a metadata address. A name that can't be
// resolved here is left to the proxy.
func (p *proxied) lookup(ctx context.Context, host string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	addresses, err := p.dialer.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil //nolint:nilerr // many a network behind a proxy resolves no name of the world outside
	}
	for _, a := range addresses {
		if isMetadata(a) {
			return errMetadata
		}
	}
	return nil
}
