package main

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kazoohook/config"
	"kazoohook/internal/event"
	"kazoohook/internal/journal"
	"kazoohook/registration"
)

// TestOfflineHoldsNoSecret: commands that read the data directory of a stopped service
// show no secret that an event holds, wherever the service has the secret from.
func TestOfflineHoldsNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "the-secret-in-an-event"
	write := func(t *testing.T, path, text string) string {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	inFile := func(t *testing.T, text string) string {
		t.Helper()
		return write(t, filepath.Join(t.TempDir(), "f"), text)
	}
	for name, settings := range map[string]func(t *testing.T, dir string) []string{
		"stored": func(t *testing.T, dir string) []string {
			write(t, filepath.Join(dir, config.SecretFile), secret+"\n")
			return nil
		},
		"environment":      func(*testing.T, string) []string { return []string{"HOOK_SECRET=" + secret} },
		"previous":         func(*testing.T, string) []string { return []string{"HOOK_SECRET_PREVIOUS=" + secret} },
		"file of a secret": func(t *testing.T, _ string) []string { return []string{"HOOK_SECRET_FILE=" + inFile(t, secret)} },
		"configuration": func(t *testing.T, _ string) []string {
			return []string{"KAZOOHOOK_CONFIG=" + inFile(t, "hook_secret: "+secret+"\n")}
		},
		"signing key": func(t *testing.T, dir string) []string {
			write(t, filepath.Join(dir, registration.KeyFile), secret+"\n")
			return nil
		},
		"password of Kazoo": func(*testing.T, string) []string { return []string{"KAZOO_PASSWORD=" + secret} },
		"beside wrong values": func(*testing.T, string) []string {
			return []string{"HOOK_SECRET=" + secret, "PUBLIC_URL=nonsense", "HOOKS=?"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			j, err := journal.Open(t.Context(), journal.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			_, err = j.Append(t.Context(), event.Route(event.Request{
				Source: event.SourceWebhook, ReceivedAt: time.Now(), Hook: "notifications", Method: "POST", ContentType: "application/x-www-form-urlencoded",
				Body: []byte("event_name=webhook_disabled&event_category=notification&account_id=acme&hook_uri=" + url.QueryEscape("https://h/kazoo/"+secret+"/object")),
			}))
			if err != nil {
				t.Fatal(err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			environ := append(settings(t, dir), "DATA_DIR="+dir, "ADMIN_ADDR=off")
			for _, args := range [][]string{
				{"events", "--format", "json"}, {"events"},
				{"destinations", "--preview", "forward", "--format", "json"}, {"destinations", "--preview", "forward"},
				{"destinations"}, {"dead"},
			} {
				environ := environ
				if args[0] != "events" {
					environ = append(environ[:len(environ):len(environ)], "FORWARD_URL=https://billing.example.com/")
				}
				var out, log bytes.Buffer
				err := run(t.Context(), args, environ, strings.NewReader(""), &out, &log)
				shown := out.String() + log.String()
				if err != nil || strings.Contains(shown, secret) || (args[0] == "events" || len(args) > 1) && !strings.Contains(shown, "webhook_disabled") {
					t.Errorf("%q: %v, %s", args, err, strings.ReplaceAll(shown, secret, "<the secret>"))
				}
			}
		})
	}
}
