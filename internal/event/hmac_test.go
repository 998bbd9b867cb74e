package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestVerifyHMACOfEveryVector(t *testing.T) {
	t.Parallel()
	n := 0
	for _, v := range loadVectors(t) {
		if v.HMACKey == "" {
			continue
		}
		n++
		var want error
		switch {
		case v.Format != "json":
			want = ErrNoHMAC
		case strings.HasSuffix(v.Name, "hmac_custom_data"): // its custom_data replaces the timestamp
			want = ErrHMACMismatch
		}
		if err := VerifyHMAC(v.body(t), v.HMACKey); !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", v.Name, err, want)
		}
		if v.Format == "json" {
			if err := VerifyHMAC(v.body(t), v.HMACKey+"x"); !errors.Is(err, ErrHMACMismatch) {
				t.Errorf("%s with another key: %v", v.Name, err)
			}
			forged := strings.Replace(string(v.body(t)), `"id":"`, `"id":"0`, 1)
			if forged != string(v.body(t)) {
				if err := VerifyHMAC([]byte(forged), v.HMACKey); !errors.Is(err, ErrHMACMismatch) {
					t.Errorf("%s, forged: %v", v.Name, err)
				}
			}
		}
	}
	if n < 8 {
		t.Errorf("only %d vectors with a key", n)
	}
}

func TestVerifyHMACTriesASortedEncoding(t *testing.T) {
	t.Parallel()
	mac := hmac.New(sha256.New, []byte("k"))
	mac.Write([]byte(`7{"a":"é","b":[1,{"c":null}]}`))
	sum := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	body := fmt.Sprintf(`{"data": {"b": [1, {"c": null}], "a": "\u00e9"}, "timestamp": 6, "hmac": %q}`, sum)
	if err := VerifyHMAC([]byte(body), "k"); err != nil {
		t.Error(err)
	}
}

func TestVerifyHMACNeedsItsParts(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		``, `[]`, `{}`, `{"data":{},"timestamp":1}`, `{"data":[],"timestamp":1,"hmac":"AA=="}`,
		`{"data":{},"hmac":"AA=="}`, `{"data":{},"timestamp":"1","hmac":"AA=="}`,
		`{"data":{},"timestamp":1.5,"hmac":"AA=="}`, `{"data":{},"timestamp":1,"hmac":3}`, `{"data":{},"timestamp":1,"hmac":"***"}`,
	} {
		if err := VerifyHMAC([]byte(body), "k"); !errors.Is(err, ErrNoHMAC) {
			t.Errorf("%s: %v", body, err)
		}
	}
}
