package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		bytes Size
		text  string
	}{
		"off": {0, "off"}, "OFF": {0, "off"}, "1": {1, "1B"}, "1024": {1024, "1KiB"}, "10 MB": {10e6, "10MB"}, "2GiB": {2 << 30, "2GiB"},
		"2gib": {2 << 30, "2GiB"}, "1.5TiB": {3 << 39, "1536GiB"}, "1500B": {1500, "1500B"}, "3KB": {3000, "3kB"},
	} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want.bytes || s.String() != want.text {
			t.Errorf("%s: %d %s %v", text, s, s, err)
		}
	}
	for _, text := range []string{"", "GiB", "0", "-1", "0x10", "1_000", "NaN", "Inf", "1 2MB", "9e18", "1e19", "5XB"} {
		s := Size(7)
		if err := s.UnmarshalText([]byte(text)); err == nil && text != "9e18" || err != nil && s != 7 {
			t.Errorf("%q: %d %v", text, s, err)
		}
	}
}

// TestOff: where off is a value, false is the same.
func TestOff(t *testing.T) {
	t.Parallel()
	found := 0
	for _, v := range Variables() {
		if !strings.Contains(v.Meaning, "`off`") {
			continue
		}
		found++
		for _, text := range []string{"off", "OFF", "false", "False"} {
			c := Default()
			if err := v.set(c, text); err != nil || v.format(c) != "off" {
				t.Errorf("%s, %s: %q, %v", v.Name, text, v.format(c), err)
			}
		}
	}
	if found < 7 {
		t.Errorf("only %d settings can be off", found)
	}
}

func TestInterval(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"off": "off", "OFF": "off", "90m": "1h30m", "1s": "1s"} {
		var i Interval
		if err := i.UnmarshalText([]byte(text)); err != nil || i.String() != want {
			t.Errorf("%q: %s %v", text, i, err)
		}
	}
}

func TestMaxDeletions(t *testing.T) {
	t.Parallel()
	for known, want := range map[int]int{0: 20, 199: 20, 200: 20, 210: 21, 100000: 10000} {
		if got := AutoDeletions.For(known); got != want {
			t.Errorf("auto for %d: %d, want %d", known, got, want)
		}
	}
	var m MaxDeletions
	if err := m.UnmarshalText([]byte("7")); err != nil || m.For(100000) != 7 || m.String() != "7" {
		t.Errorf("%v %v", m, err)
	}
	if err := m.UnmarshalText([]byte("Auto")); err != nil || m != AutoDeletions || m.String() != "auto" {
		t.Errorf("%v %v", m, err)
	}
}

func TestSwitch(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"on": "on", "TRUE": "on", "off": "off", "no": "off"} {
		var s Switch
		if err := s.UnmarshalText([]byte(text)); err != nil || s.String() != want {
			t.Errorf("%s: %s %v", text, s, err)
		}
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for addr, want := range map[Addr]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "localhost:1": true, "[::ffff:127.0.0.1]:1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "192.0.2.1:1": false, "host:1": false, "bad": false,
	} {
		if got := addr.loopback(); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"HOOKS", "HOOK_NAME", "KAZOO_API_URL", "KAZOO_API_KEY"}
	for s, want := range map[string]string{
		"KAZOO_API_ULR": "KAZOO_API_URL", "KAZOO_APIURL": "KAZOO_API_URL", "KAZOO_API_KEYS": "KAZOO_API_KEY", "HOOK": "HOOKS",
		"HOOK_NAMES": "HOOK_NAME", "KAZOO": "", "HORSE": "", "": "", "KAZOO_HASH": "",
	} {
		if got := nearest(s, names); got != want {
			t.Errorf("%s: %q, want %q", s, got, want)
		}
	}
}

// TestCAFile accepts a certificate.
func TestCAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, certificate(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(Options{Environ: with("KAZOO_CA_FILE=" + path), Need: All}); err != nil {
		t.Error(err)
	}
}
