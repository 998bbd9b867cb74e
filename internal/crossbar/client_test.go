package crossbar

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	pass := Password{User: "u", Pass: "hunter2hunter2"}
	for want, o := range map[string]Options{
		"absolute http or https URL": {BaseURL: "kazoo:8000"},
		"absolute http":              {},
		"cannot be parsed":           {BaseURL: "http://u:hunter2hunter2@k:port/"},
		"no query":                   {BaseURL: "http://k/?a=b"},
		"reading KAZOO_CA_FILE":      {BaseURL: "http://k", CAFile: "/does/not/exist"},
		"holds no PEM certificate":   {BaseURL: "http://k", CAFile: empty},
		"name or its realm":          {BaseURL: "http://k", Auth: pass},
		"one of them":                {BaseURL: "http://k", Auth: pass, AccountName: "a", AccountRealm: "b"},
		"both the user name":         {BaseURL: "http://k", Auth: Password{User: "u"}, AccountName: "a"},
		"md5 or sha1":                {BaseURL: "http://k", Auth: Password{User: "u", Pass: "p", Hash: "sha256"}, AccountName: "a"},
		"32 digits":                  {BaseURL: "http://k", Auth: Credentials{Hash: "xyz"}, AccountName: "a"},
		"do not fit":                 {BaseURL: "http://k", Auth: Credentials{Hash: testMD5, Method: "sha1"}, AccountName: "a"},
		"not a hash that Kazoo":      {BaseURL: "http://k", Auth: Credentials{Hash: testMD5, Method: "crc"}, AccountName: "a"},
		"has 64 characters":          {BaseURL: "http://k", Auth: APIKey("short-but-secret")},
	} {
		_, err := New(o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
			continue
		}
		for _, secret := range []string{"hunter2", "short-but-secret"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%v", err)
			}
		}
	}
}
