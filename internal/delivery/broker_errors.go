package delivery

import (
	"errors"
	"net"
	"strings"
)

// excerpt returns the beginning of a broker's text, on one line, with secrets masked.
func excerpt(text []byte, mask *strings.Replacer) string {
	s := string(text)
	if mask != nil {
		s = mask.Replace(s)
	}
	return cut(printed([]byte(s)), maxExcerpt)
}

// withoutAddress returns an error on one line, without our own address.
func withoutAddress(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "read" {
		return "the connection was lost: " + op.Err.Error()
	}
	return excerpt([]byte(err.Error()), nil)
}
