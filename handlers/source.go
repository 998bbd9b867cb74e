package handlers

import (
	"net/http"
	"net/netip"
	"strings"
)

// sources finds the sender of a request.
type sources struct {
	trusted []netip.Prefix
	allowed []netip.Prefix
}

// source is the address of a request's sender; invalid if unknown.
type source struct{ addr netip.Addr }

func (s source) text() string {
	if !s.addr.IsValid() {
		return ""
	}
	return s.addr.String()
}

// key returns the address that counts as one source: an IPv6 host has a whole /64.
func (s source) key() netip.Addr {
	if s.addr.Is6() {
		p, err := s.addr.Prefix(64)
		if err == nil {
			return p.Addr()
		}
	}
	return s.addr
}

// of returns the peer or, if the peer is a trusted proxy, the right-most address of
// X-Forwarded-For that is not a trusted proxy. Everything left of that may be
// forged.
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
			if last = strings.TrimSpace(last); last == "" {
				continue // an empty entry
			}
			next, ok := forwarded(last)
			if !ok {
				return source{addr} // only the proxy's address is certain
			}
			addr = next
			if !within(s.trusted, addr) {
				return source{addr}
			}
		}
	}
	return source{addr}
}

// proxied reports whether a trusted proxy sent the request.
func (s *sources) proxied(r *http.Request) bool {
	if len(s.trusted) == 0 {
		return false
	}
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && within(s.trusted, ap.Addr().Unmap().WithZone(""))
}

// secure reports whether a trusted proxy received the request over TLS.
func (s *sources) secure(r *http.Request) bool {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && within(s.trusted, ap.Addr().Unmap().WithZone("")) &&
		strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// allow reports whether a source may send events.
func (s *sources) allow(from source) bool {
	return len(s.allowed) == 0 || within(s.allowed, from.addr)
}

// forwarded reads an address as proxies write it: with or without a port, IPv6 with
// or without brackets.
func forwarded(text string) (netip.Addr, bool) {
	alone := text
	if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") {
		alone = strings.TrimSuffix(inner, "]")
	}
	addr, err := netip.ParseAddr(alone)
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
