package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
)

// The errors of VerifyHMAC.
var (
	ErrNoHMAC       = errors.New("the body carries no HMAC that can be verified")
	ErrHMACMismatch = errors.New("the HMAC does not match")
)

// VerifyHMAC checks the HMAC of a version 2 JSON body against the hook's
// security_settings.sha256_key: HMAC-SHA256 over the decimal timestamp followed by
// the JSON of "data" (kazoo 5 applications/webhooks/src/webhooks_util.erl). Kazoo's
// encoder is applied twice, for the HMAC and for the body, so the bytes of data in
// the body are tried first and a sorted, compact encoding after them; and its clock
// is read twice, so the next second is tried as well. What the HMAC does not cover:
// name, action and custom_data. A form can't be verified: it is ErrNoHMAC, as is a
// body without hmac, timestamp or data.
func VerifyHMAC(body []byte, key string) error {
	c := members{buf: body}
	if !json.Valid(body) || !c.open() {
		return ErrNoHMAC
	}
	var data, timestamp, sum []byte
	for name, value, ok := c.next(); ok; name, value, ok = c.next() {
		switch string(name) {
		case "data":
			data = value
		case "timestamp":
			timestamp = value
		case "hmac":
			sum = value
		}
	}
	if len(data) == 0 || data[0] != '{' || !isInteger(string(timestamp)) || len(sum) < 2 || sum[0] != '"' {
		return ErrNoHMAC
	}
	encoded, _ := unquote(sum[1 : len(sum)-1])
	want, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return ErrNoHMAC
	}
	seconds, err := strconv.ParseInt(string(timestamp), 10, 64)
	if err != nil {
		return ErrNoHMAC
	}
	sorted := appendObject(nil, jsonTree{&problems{}}.object(data, 1))
	for _, text := range [][]byte{data, sorted} {
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
