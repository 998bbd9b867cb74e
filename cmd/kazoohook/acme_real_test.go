//go:build real

package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"kazoohook/config"
	"kazoohook/internal/fakekazoo"
	"kazoohook/server/acmetest"
)

// TestServeACME: ACME_DOMAINS alone makes the listener public. A failing CA stops
// nothing, and every check names it; later it gives a certificate.
func TestServeACME(t *testing.T) {
	const name = "hooks.example.com"
	addr := "127.0.0.1:" + port(t) // the fake CA's names lead there
	ca := acmetest.Start(t, acmetest.Options{TLSPort: acmetest.Port(t, addr), RejectNonces: 30})
	ca.Break(name)
	admin := freeAddrs(t, 1)[0]
	environ := []string{
		"KAZOO_API_URL=http://127.0.0.1:1", "KAZOO_API_KEY=" + fakekazoo.DefaultAPIKey, "LISTEN_ADDR=" + addr, "ADMIN_ADDR=" + admin,
		"ACME_DOMAINS=" + name, "ACME_CA=" + ca.URL, "ACME_CA_FILE=" + ca.RootsFile, "ACME_HTTP_ADDR=off", "ACME_EMAIL=ops@example.com",
		"HOOK_SECRET=" + sceneSecret, "DATA_DIR=" + t.TempDir(), "SHUTDOWN_TIMEOUT=20s",
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	run := func() (log *logLines, end func()) {
		t.Helper()
		cfg, err := config.Load(config.Options{Need: config.All, Environ: environ})
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.PublicURL.String(); got != "https://"+name {
			t.Errorf("PUBLIC_URL is %s", got)
		}
		log = &logLines{}
		l, err := (&env{}).newLogs(cfg, log)
		if err != nil {
			t.Fatal(err)
		}
		s, err := newServiceAgain(ctx, cfg, l)
		if err != nil {
			t.Fatal(err)
		}
		runCtx, stopRun := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- s.run(runCtx) }()
		return log, func() {
			stopRun()
			if err := <-done; err != nil {
				t.Errorf("%v\n%s", err, log)
			}
		}
	}
	t.Cleanup(stop)
	log, end := run()
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("in vain: %s\n%s", what, log)
			}
		}
	}
	body := func(path string) string {
		got, err := get(ctx, &http.Transport{DisableKeepAlives: true}, "http://"+admin+path)
		if err != nil {
			return err.Error()
		}
		return got.body
	}
	certificate := func() finding {
		found, _ := doctorWith(t, environ).checkCertificate(ctx)
		return found[0]
	}
	until("the CA's refusal is said", func() bool { return strings.Contains(body("/readyz"), "there is no certificate for "+name+" yet: ") })
	if got := body("/metrics"); !strings.Contains(got, `kazoohook_check_passed{check="certificate"} 0`) || !strings.Contains(got, "kazoohook_certificate_expiry_timestamp_seconds 0") {
		t.Error(got)
	}
	if stdout, stderr, code := program(t, environ, "healthcheck", "--timeout", "1m"); code != 0 || stdout != "ok\n" {
		t.Errorf("code %d, %s%s", code, stdout, stderr)
	}
	if f := certificate(); f.Status != statusWarn || !strings.Contains(f.Found, "there is no certificate for "+name) {
		t.Errorf("%+v", f)
	}
	end()
	ca.Heal(name)
	log, end = run()
	until("there is a certificate", func() bool { return strings.Contains(log.String(), "the CA has given a certificate") })
	until("it is ready in this respect, and says when the certificate ends", func() bool {
		got := body("/metrics")
		return strings.Contains(got, `kazoohook_check_passed{check="certificate"} 1`) && !strings.Contains(got, "kazoohook_certificate_expiry_timestamp_seconds 0")
	})
	if f := certificate(); !strings.Contains(f.Found, "leads to no known CA") { // no list has Pebble's CA
		t.Errorf("%+v", f)
	}
	end()
}
