package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
)

// checkDNS looks up the public URL's host as Kazoo does: IPv4 only (the HTTP
// client of Erlang's inets, as Kazoo configures it).
func (d *doctor) checkDNS(ctx context.Context) ([]finding, bool) {
	host := d.cfg.PublicURL.Hostname()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil || len(addrs) == 0 {
		return one(unresolved(ctx, host, err)), false
	}
	var texts []string
	var local, private bool
	for _, a := range addrs {
		a = a.Unmap()
		texts = append(texts, a.String())
		local = local || a.IsLoopback() || a.IsUnspecified()
		private = private || isPrivate(a)
	}
	slices.Sort(texts)
	is := "is " + strings.Join(texts, ", ")
	if host == texts[0] {
		is = "is an IPv4 address"
	}
	switch {
	case local:
		return one(warned("right for development, with Kazoo on this machine; otherwise set PUBLIC_URL to what Kazoo's servers can reach",
			"%s %s: this machine only", host, is)), true
	case private:
		return one(warned("right if Kazoo's servers are in the same network; otherwise set PUBLIC_URL to a public address",
			"%s %s: a private network", host, is)), true
	}
	return one(fine("%s %s", host, is)), true
}

func unresolved(ctx context.Context, host string, err error) finding {
	var dns *net.DNSError
	if notFound := errors.As(err, &dns) && dns.IsNotFound; err != nil && !notFound {
		return broken("check the DNS server that this machine uses, and the host name in PUBLIC_URL", "%s can't be looked up: %v", host, plainly(ctx, err))
	}
	if six, err := net.DefaultResolver.LookupNetIP(ctx, "ip6", host); err == nil && len(six) > 0 {
		return broken("give it an IPv4 address (an A record): Kazoo posts over IPv4 only", "%s has an IPv6 address and none of IPv4", host)
	}
	return broken("correct the host name in PUBLIC_URL, or add an A record for it", "%s has no address in the DNS", host)
}

// isPrivate reports whether an address is valid only in the local network: RFC
// 1918, carrier-grade NAT (RFC 6598) and link-local.
func isPrivate(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLinkLocalUnicast() || netip.MustParsePrefix("100.64.0.0/10").Contains(a)
}

// checkPublicURL requests the receiver's /healthz through PUBLIC_URL.
func (d *doctor) checkPublicURL(ctx context.Context) ([]finding, bool) {
	target := d.cfg.PublicURL.JoinPath("healthz")
	var dialer net.Dialer
	got, err := get(ctx, &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp4", addr)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // checkTLS verifies; nothing secret is sent
	}, target.String())
	return one(d.reached(target, got, err)), true
}

// reached returns the finding for the answer, or for its absence.
func (d *doctor) reached(target *url.URL, got answer, err error) finding {
	if err != nil {
		advice := "check from outside, as with curl from another network: many networks don't let a machine reach its own public address"
		if !d.running.Load() {
			advice = "start the service first; then, if it goes on, check from outside: many networks don't let a machine reach its own public address"
		}
		return warned(advice, "%s can't be reached from here: %v", target, err)
	}
	switch code := got.status; {
	case code == http.StatusOK && strings.TrimSpace(got.body) == "ok":
		return fine("%s reaches a kazoohook", target)
	case code/100 == 3:
		to := "elsewhere"
		if u, err := url.Parse(got.header.Get("Location")); err == nil && u.Host != "" {
			to = "to " + u.Scheme + "://" + u.Host
		}
		return broken("set PUBLIC_URL to the final address, or switch the redirect off: Kazoo follows it with an empty GET, counts that as success, and the event is lost",
			"%s answers %d, a redirect %s", target, code, to)
	case slices.Contains([]int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, code) && !d.running.Load():
		return warned("start the service, then look again", "%s answers %d: a proxy is there, and no service behind it", target, code)
	case slices.Contains([]int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, code):
		return broken("correct the address to which the proxy passes requests on (LISTEN_ADDR)", "%s answers %d: a proxy is there but doesn't reach the service", target, code)
	}
	return broken("let the proxy or router pass PUBLIC_URL on to the service, path and all; if the answer is your own router's, check from outside",
		"%s answers %d, and not as kazoohook does: something else is there", target, got.status)
}

// plainly returns the cause of a network error without the URL, which the finding
// already names.
func plainly(ctx context.Context, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var timeout interface{ Timeout() bool }
	switch {
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("no answer in time")
	case errors.Is(err, syscall.ECONNREFUSED):
		return rewordedError{err, "connection refused"}
	}
	return err
}

// rewordedError is an error with another text.
type rewordedError struct {
	error
	words string
}

func (e rewordedError) Error() string { return e.words }

func (e rewordedError) Unwrap() error { return e.error }
