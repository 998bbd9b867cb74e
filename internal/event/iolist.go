package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// errNotIOList is wrapped by all errors of FlattenIOList.
var errNotIOList = errors.New("stored body is not an iolist")

// FlattenIOList turns the req_body of a stored attempt into the exact body that was
// sent. Kazoo stores the body as its sender holds it: for a form hook nested arrays
// of strings and of integers, each one byte; for JSON a plain string (kazoo 4.3
// applications/webhooks/src/webhooks_util.erl, save_attempt). It takes one pass
// without recursion, at any depth of nesting.
func FlattenIOList(v json.RawMessage) ([]byte, error) {
	if !json.Valid(v) {
		return nil, fmt.Errorf("%w: not JSON", errNotIOList)
	}
	body := make([]byte, 0, len(v))
	for i := 0; i < len(v); {
		switch c := v[i]; {
		case c == '[', c == ']', c == ',', isSpace(c):
			i++
		case c == '"':
			end := stringEnd(v, i)
			body = appendUnquoted(body, v[i+1:end-1])
			i = end
		case '0' <= c && c <= '9':
			end := valueEnd(v, i)
			b, err := strconv.ParseUint(string(v[i:end]), 10, 8)
			if err != nil {
				return nil, fmt.Errorf("%w: a number is not a byte", errNotIOList)
			}
			body = append(body, byte(b))
			i = end
		default:
			return nil, fmt.Errorf("%w: unexpected %q", errNotIOList, c)
		}
	}
	return body, nil
}
