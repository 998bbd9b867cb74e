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
	body := fmt.Sprintf(`{"action": "event", "name": "n", "data": {"b": [1, {"c": null}], "a": "\u00e9"}, "timestamp": 6, "hmac": %q}`, sum)
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

// TestVerifyHMACCoversWhatIsRouted: a captured signed request proves nothing about
// an event that its body shows elsewhere than in the data that was signed.
func TestVerifyHMACCoversWhatIsRouted(t *testing.T) {
	t.Parallel()
	const signed, forged = `{"id":"captured","tags":["a","b"],"type":"user"}`, `{"id":"forged","type":"user"}`
	mac := hmac.New(sha256.New, []byte("k"))
	mac.Write([]byte("6" + signed))
	end := fmt.Sprintf(`"timestamp":6,"hmac":%q}`, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	const start = `{"action":"event","name":"doc_deleted",`
	for name, body := range map[string]string{
		"data twice":                 start + `"data":` + forged + `,"data":` + signed + `,` + end,
		"data twice, signed first":   start + `"data":` + signed + `,"data":` + forged + `,` + end,
		"data twice, once empty":     start + `"data":"","data":` + signed + `,` + end,
		"also in another case":       start + `"Data":` + forged + `,"data":` + signed + `,` + end,
		"also escaped":               start + `"data":` + signed + `,"d\u0061ta":` + forged + `,` + end,
		"timestamp twice":            start + `"timestamp":7,"data":` + signed + `,` + end,
		"timestamp in another case":  start + `"data":` + signed + `,"Timestamp":7,` + end,
		"timestamp with a long s":    start + `"data":` + signed + `,"time\u017ftamp":7,` + end,
		"hmac twice":                 start + `"hmac":"AA==","data":` + signed + `,` + end,
		"hmac escaped":               start + `"\u0068mac":"AA==","data":` + signed + `,` + end,
		"of version 1":               `{"id":"forged","action":"doc_deleted","type":"user","data":` + signed + `,` + end,
		"an action that isn't text":  `{"id":"forged","action":1,"action":"event","name":"n","data":` + signed + `,` + end,
		"another action first":       `{"id":"forged","action":"doc_deleted","action":"event","name":"n","data":` + signed + `,` + end,
		"no name":                    `{"id":"forged","action":"event","name":"","data":` + signed + `,` + end,
		"a list as a repeated value": start + `"data":{"id":"captured","tags":"a","tags":"b","type":"user"},` + end,
	} {
		if err := VerifyHMAC([]byte(body), "k"); !errors.Is(err, ErrHMACMismatch) {
			t.Errorf("%s: %v for %s", name, err, body)
		}
	}
	if err := VerifyHMAC([]byte(start+`"data":`+signed+`,`+end), "k"); err != nil {
		t.Errorf("as captured: %v", err)
	}
}
