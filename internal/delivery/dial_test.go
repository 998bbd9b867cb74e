package delivery

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func TestMetadataAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"169.254.169.254": true, "169.254.0.0": true, "169.254.255.255": true, "169.254.170.2": true,
		"::ffff:169.254.169.254": true, "::169.254.169.254": true, "::ffff:0:169.254.169.254": true,
		"64:ff9b::169.254.169.254": true, "64:ff9b:1::169.254.169.254": true, "64:ff9b:1:abcd::a9fe:1": true,
		"2002:a9fe:a9fe::": true, "2002:a9fe:a9fe:1::5": true,
		"fe80::5efe:169.254.169.254": true, "fe80::5efe:169.254.169.254%eth0": true,
		"fd00:ec2::254": true, "fd20:ce::254": true, "fe80::a9fe:a9fe%eth0": true,

		"127.0.0.1": false, "10.0.0.1": false, "192.168.169.254": false, "169.253.255.255": false, "169.255.0.0": false, "172.16.0.1": false,
		"100.64.0.1": false, "8.8.8.8": false, "::1": false, "fd00:ec2::253": false, "fd00::1": false, "fe80::1": false,
		"64:ff9b::10.0.0.1": false, "2002:a00:1::": false, "2001:db8::a9fe:a9fe": false, "::ffff:10.0.0.1": false,
	} {
		if got := isMetadata(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

// resolver is a real DNS server that knows only the given names with their addresses.
func resolver(t *testing.T, names map[string][]string) *net.Resolver {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := answerTo(buf[:n], names); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func answerTo(query []byte, names map[string][]string) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Additionals = true, nil
	addresses, known := names[strings.TrimSuffix(q.Name.String(), ".")]
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, text := range addresses {
		a := netip.MustParseAddr(text)
		h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	packed, err := m.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// TestNamesOfMetadataAreRefused resolves each name with a real DNS server.
func TestNamesOfMetadataAreRefused(t *testing.T) {
	t.Parallel()
	names := resolver(t, map[string][]string{
		"plain.test": {"169.254.169.254"}, "six.test": {"fd00:ec2::254"}, "mapped.test": {"::ffff:169.254.169.254"},
		"nat64.test": {"64:ff9b::a9fe:a9fe"}, "several.test": {"169.254.169.254", "169.254.170.2"},
	})
	for _, url := range []string{
		"http://plain.test/latest", "https://plain.test", "http://six.test", "http://mapped.test:8080", "http://nat64.test", "http://several.test",
		"http://0251.0376.0251.0376", "http://2852039166/", // forms of addresses that some resolvers take
	} {
		s := sender(t, HTTPSettings{URL: url})
		s.dialer.Resolver = names
		r := s.Send(t.Context(), message())
		refused := r.Err != nil && strings.Contains(r.Err.Error(), "the connection was refused: it is the address of a cloud's metadata service")
		unknown := r.Err != nil && strings.Contains(r.Err.Error(), "no such host")
		if !refused && (strings.Contains(url, ".test") || !unknown) || r.Answered {
			t.Errorf("%s: %+v", url, r)
		}
		if err := s.Check(t.Context()); err == nil || err.Error() != r.Err.Error() {
			t.Errorf("%s: check says %v", url, err)
		}
	}
}

// TestNamesOfOthersAreNot sends to the name of another address.
func TestNamesOfOthersAreNot(t *testing.T) {
	t.Parallel()
	server := serve(t, func(http.ResponseWriter, *http.Request) {})
	s := sender(t, HTTPSettings{URL: strings.Replace(server.URL, "127.0.0.1", "here.test", 1)})
	s.dialer.Resolver = resolver(t, map[string][]string{"here.test": {"127.0.0.1"}})
	if r := s.Send(t.Context(), message()); r.Err != nil {
		t.Error(r.Err)
	}
	s = sender(t, HTTPSettings{URL: "http://nowhere.test"})
	s.dialer.Resolver = resolver(t, nil)
	if r := s.Send(t.Context(), message()); r.Err == nil || !strings.Contains(r.Err.Error(), "http://nowhere.test gave no answer: dial tcp: lookup nowhere.test") {
		t.Errorf("%+v", r)
	}
}

// forward is an HTTP proxy that connects to one address, whatever name it is asked for.
func forward(t *testing.T, to string, asked *[]string) *http.Server {
	t.Helper()
	return &http.Server{ReadHeaderTimeout: wait, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.Host+" "+r.Header.Get("Proxy-Authorization"))
		out, err := new(net.Dialer).DialContext(r.Context(), "tcp", to)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = out.Close() }()
		if r.Method != http.MethodConnect {
			r.Header.Set("Connection", "close")
			_ = r.Write(out)
			in, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.Copy(in, out)
				_ = in.Close()
			}
			return
		}
		in, rest, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			_, _ = io.Copy(out, rest)
			_ = out.Close()
		}()
		_, _ = io.Copy(in, out)
		_ = in.Close()
	})}
}

// TestErrMetadataIsFound: the error of a refused dial is an errMetadata.
func TestErrMetadataIsFound(t *testing.T) {
	t.Parallel()
	_, err := newDialer().DialContext(t.Context(), "tcp", "169.254.169.254:80")
	if !errors.Is(err, errMetadata) {
		t.Errorf("got %v", err)
	}
}
