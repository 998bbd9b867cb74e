package handlers

import (
	"net/http"
	"net/netip"
	"strings"
)

// sources finds out who sent a request.
type sources struct {
	trusted []netip.Prefix
	allowed []netip.Prefix
}

// source is the address of who sent a request; invalid if that can't be told.
type source struct{ addr netip.Addr }

func (s source) text() string {
	if !s.addr.IsValid() {
		return ""
	}
	return s.addr.String()
}

// key is what is counted as one source: an IPv6 host has a whole /64 to itself.
func (s source) key() netip.Addr {
	if s.addr.Is6() {
		p, err := s.addr.Prefix(64)
		if err == nil {
			return p.Addr()
		}
	}
	return s.addr
}

// of returns the peer or, where the peer is a trusted proxy, the right-most
// address of X-Forwarded-For that is not one: everything left of that was
// written by a stranger.
func (s *sources) of(r *http.Request) source {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return source{}
	}
	addr := ap.Addr().Unmap().WithZone("")
	if len(s.trusted) == 0 || !within(s.trusted, addr) {
		return source{addr}
	}
	lines := r.Header.Values("X-Forwarded-For")
	for i := len(lines) - 1; i >= 0; i-- {
		rest := lines[i]
		for rest != "" {
			var last string
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, last = rest[:comma], rest[comma+1:]
			} else {
				rest, last = "", rest
			}
			next, ok := forwarded(last)
			if !ok {
				return source{addr} // the proxy we got it from is all that is certain
			}
			addr = next
			if !within(s.trusted, addr) {
				return source{addr}
			}
		}
	}
	return source{addr}
}

// secure reports whether a trusted proxy took the request over TLS.
func (s *sources) secure(r *http.Request) bool {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && within(s.trusted, ap.Addr().Unmap().WithZone("")) &&
		strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// allow reports whether a source may deliver.
func (s *sources) allow(from source) bool {
	return len(s.allowed) == 0 || within(s.allowed, from.addr)
}

func forwarded(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	addr, err := netip.ParseAddr(text)
	if err != nil {
		ap, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = ap.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

func within(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
