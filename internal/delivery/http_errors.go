package delivery

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// isMetadataHost reports whether a host is a metadata service's literal address.
func isMetadataHost(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && isMetadata(a)
}

// failure says in one sentence why there was no answer.
func (s *httpSender) failure(ctx context.Context, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the URL
	}
	switch {
	case errors.Is(err, errMetadata):
		return fmt.Errorf("%s: the connection was %w", s.name(), errMetadata)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s gave no answer within %v", s.name(), s.d.Timeout)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: the attempt was interrupted: %w", s.name(), ctx.Err())
	}
	text := strings.Replace(err.Error(), "net/http: HTTP/1.x transport connection broken: ", "the answer is broken: ", 1)
	var op *net.OpError
	switch {
	case strings.Contains(text, "http2: client conn could not be established"): // this error hides the reason
		text = "the connection was closed right after the TLS handshake, as for a client certificate that is missing or not accepted"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		text = "the connection was closed"
	case errors.As(err, &op) && (op.Op == "read" || op.Op == "write"):
		text = "the connection was lost: " + op.Err.Error() // without the addresses of both ends
	}
	return fmt.Errorf("%s gave no answer: %s", s.name(), s.mask.excerpt([]byte(text), false))
}

// Minimum lengths for masking: of a value that is meant as a secret, and of a part of
// the path, which may be a secret, as in Slack's URLs.
const (
	minSecret  = 6
	minSegment = 16
)

// mask lists the secrets of a destination, the longest first.
type mask []string

// maskOf returns the secrets in the settings of a destination.
func maskOf(s *HTTPSettings, to *url.URL) mask {
	var m mask
	add := func(secrets ...string) {
		for _, secret := range secrets {
			if len(secret) >= minSecret {
				m = append(m, secret)
			}
		}
	}
	for _, key := range s.Keys {
		add(key.secret(), strings.TrimPrefix(key.secret(), "whsec_"), string(key))
	}
	for _, value := range s.Headers {
		_, token, _ := strings.Cut(value, " ") // "Bearer ..."
		add(value, token)
	}
	if to.User != nil {
		password, _ := to.User.Password()
		add(base64.StdEncoding.EncodeToString([]byte(to.User.Username()+":"+password)), to.User.String(), password, url.QueryEscape(password))
	}
	add(to.RawQuery)
	for _, values := range to.Query() {
		add(values...)
	}
	for segment := range strings.SplitSeq(to.EscapedPath(), "/") {
		if len(segment) >= minSegment {
			add(segment)
		}
	}
	slices.SortFunc(m, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) })
	return m
}

func (m mask) replace(s string) string {
	for _, secret := range m {
		s = strings.ReplaceAll(s, secret, "***")
	}
	return s
}

// excerpt returns the beginning of a text on one line, with secrets masked. If the text
// is incomplete, an end that may begin a secret is removed.
func (m mask) excerpt(text []byte, incomplete bool) string {
	s := string(text)
	if incomplete {
		most := 0
		for _, secret := range m {
			for n := min(len(secret)-1, len(s)); n > most; n-- {
				if strings.HasSuffix(s, secret[:n]) {
					most = n
				}
			}
		}
		s = s[:len(s)-most]
	}
	return cut(printed([]byte(m.replace(s))), maxExcerpt)
}

// printed returns a text on one line, in valid UTF-8 without control characters.
func printed(text []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(text), "\ufffd")))
}

// cut returns at most n bytes of a text, ending with a whole character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
