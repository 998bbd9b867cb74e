package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// The errors of VerifyHMAC.
var (
	ErrNoHMAC       = errors.New("the body carries no HMAC that can be verified")
	ErrHMACMismatch = errors.New("the HMAC does not match")
)

// VerifyHMAC checks the HMAC of a version 2 JSON body against the hook's
// security_settings.sha256_key: HMAC-SHA256 over the decimal timestamp followed by
// the JSON of "data" (kazoo 5 applications/webhooks/src/webhooks_util.erl). Kazoo
// encodes data twice, for the HMAC and for the body, so VerifyHMAC tries the bytes
// in the body first and then a sorted, compact encoding. Kazoo also reads its clock
// twice, so the next second is tried too. The HMAC does not cover name, action and
// custom_data. A form can't be verified: the error is ErrNoHMAC, as for a body
// without hmac, timestamp or data.
//
// The HMAC matches only if everybody who reads the body finds the event in the data
// that it covers. So it doesn't match outside an envelope, where Route reads what is
// around data. It doesn't match either if data, timestamp or hmac comes twice, also
// in another case or escaped: one reader takes the first, another the last.
func VerifyHMAC(body []byte, key string) error {
	body = content(body)
	c := members{buf: body}
	if !json.Valid(body) || !c.open() {
		return ErrNoHMAC
	}
	parts := [3]struct {
		name  string
		value []byte
		times int
	}{{name: "data"}, {name: "timestamp"}, {name: "hmac"}}
	twice := false
	for escaped, value, ok := c.next(); ok; escaped, value, ok = c.next() {
		name, _ := unquote(escaped)
		for i := range parts {
			if p := &parts[i]; strings.EqualFold(name, p.name) {
				p.times++
				twice = twice || p.times > 1
				if string(escaped) == p.name {
					p.value = value
				}
			}
		}
	}
	if twice {
		return ErrHMACMismatch
	}
	data, timestamp, sum := parts[0].value, parts[1].value, parts[2].value
	if len(data) == 0 || data[0] != '{' || len(sum) < 2 || sum[0] != '"' {
		return ErrNoHMAC
	}
	encoded, _ := unquote(sum[1 : len(sum)-1])
	want, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return ErrNoHMAC
	}
	seconds, ok := integer(string(timestamp))
	if !ok {
		return ErrNoHMAC
	}
	if !Enveloped(body) {
		return ErrHMACMismatch
	}
	texts := [][]byte{data}
	var p problems // with any, data isn't what a sorted encoding would show
	if sorted := appendObject(nil, jsonTree{&p}.object(data, 1)); len(p.list) == 0 {
		texts = append(texts, sorted)
	}
	for _, text := range texts {
		for _, at := range []int64{seconds, seconds + 1} {
			mac := hmac.New(sha256.New, []byte(key))
			mac.Write(strconv.AppendInt(nil, at, 10))
			mac.Write(text)
			if hmac.Equal(mac.Sum(nil), want) {
				return nil
			}
		}
	}
	return ErrHMACMismatch
}

// Enveloped reports whether a body is JSON of version 2, as Route reads it.
func Enveloped(body []byte) bool {
	var s scan
	return s.object(content(body)) && s.enveloped()
}
