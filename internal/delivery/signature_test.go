package delivery

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// TestSignatureIsThatOfStandardWebhooks checks the example of their documentation.
func TestSignatureIsThatOfStandardWebhooks(t *testing.T) {
	t.Parallel()
	keys := keysOf(t, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	got := sign(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestSignatureByEachKey checks every key's signature with the official library,
// over bodies of all kinds.
func TestSignatureByEachKey(t *testing.T) {
	t.Parallel()
	secrets := []string{}
	for i := range 3 {
		secrets = append(secrets, "whsec_"+base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune('a'+i)), 24+i))))
	}
	keys := keysOf(t, secrets...)
	at := time.Now()
	for _, body := range []string{"", "{}", "Jos\u00e9 \x00\xff\n", strings.Repeat("x", 1<<20)} {
		h := http.Header{}
		h.Set("webhook-id", "01ARZ3NDEKTSV4RRFFQ69G5FAV")
		h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
		h.Set("webhook-signature", sign(keys, h.Get("webhook-id"), at, []byte(body)))
		for i, secret := range secrets {
			oracle, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := oracle.Verify([]byte(body), h); err != nil {
				t.Errorf("key %d: %v", i, err)
			}
			first, err := oracle.Sign(h.Get("webhook-id"), at, []byte(body))
			if err != nil || strings.Split(h.Get("webhook-signature"), " ")[i] != first {
				t.Errorf("key %d: the signatures are not in the order of the keys (%v)", i, err)
			}
		}
		other, _ := standardwebhooks.NewWebhookRaw([]byte("another key of some length"))
		if other.Verify([]byte(body), h) == nil {
			t.Error("another key verifies")
		}
	}
}

// keysOf decodes keys from the form that settings have.
func keysOf(t testing.TB, secrets ...string) []Key {
	t.Helper()
	var keys []Key
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			t.Fatal(err)
		}
		if got := Key(key).secret(); got != secret {
			t.Errorf("the key is written %s", got)
		}
		keys = append(keys, key)
	}
	return keys
}

// TestKeysMaskThemselves prints settings with every verb: none shows the key.
func TestKeysMaskThemselves(t *testing.T) {
	t.Parallel()
	s := Settings{HTTP: &HTTPSettings{Keys: []Key{Key("0123456789abcdef01234567")}}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		got := fmt.Sprintf(verb, *s.HTTP)
		if strings.Contains(got, "0123456789abcdef") || strings.Contains(got, "48 49 50") || strings.Contains(got, "0x30, 0x31") {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}
