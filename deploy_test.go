package kazoohook_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/goccy/go-yaml"
)

// TestUnits: both unit files restart without limit, stop in time, and differ only in
// the paths of an instance's files.
func TestUnits(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		raw, err := os.ReadFile(filepath.Join("deploy", "systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(raw), "")
	}
	one, many := read("kazoohook.service"), read("kazoohook@.service")
	for _, line := range []string{"StartLimitIntervalSec=0", "Restart=always", "TimeoutStopSec=30", "UMask=0077", "ProtectSystem=strict"} {
		if !strings.Contains(one, "\n"+line+"\n") {
			t.Errorf("kazoohook.service lacks %s", line)
		}
	}
	// It hides /proc/sys/net/core/somaxconn and /proc/stat.
	if strings.Contains(one, "ProcSubset=") {
		t.Error("the service sees only a part of /proc")
	}
	same := strings.NewReplacer(" (%i)", "", "/%i", "", "%i/", "").Replace(many)
	if same != one {
		t.Errorf("the units differ:\n%s\n%s", one, same)
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("there is no systemd-analyze")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"kazoohook.service": one, "kazoohook@.service": many} {
		text = strings.ReplaceAll(text, "/usr/local/bin/kazoohook", "/bin/true")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	//nolint:gosec // the test's own files
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", filepath.Join(dir, "kazoohook.service"), filepath.Join(dir, "kazoohook@east.service")).CombinedOutput()
	if err != nil || strings.Contains(string(out), dir) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPackageRemoval: removing the package stops and disables the service and all instances;
// an upgrade does neither. systemctl does its work in a directory of the test, as far as
// that needs no running systemd.
func TestPackageRemoval(t *testing.T) {
	t.Parallel()
	systemctl, err := exec.LookPath("systemctl")
	if err != nil {
		t.Skip("there is no systemctl")
	}
	dir := t.TempDir()
	root, calls := filepath.Join(dir, "root"), filepath.Join(dir, "calls")
	units, bin := filepath.Join(root, "usr", "lib", "systemd", "system"), filepath.Join(dir, "bin")
	if err := errors.Join(os.CopyFS(units, os.DirFS(filepath.Join("deploy", "systemd"))), os.Mkdir(bin, 0o700)); err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join("deploy", "deb", "prerm"))
	if err != nil {
		t.Fatal(err)
	}
	fake := fmt.Sprintf("#!/bin/sh\necho \"$*\" >>%s\n[ \"$1\" = stop ] || exec %s --root=%s \"$@\"\n", calls, systemctl, root)
	for path, text := range map[string]string{filepath.Join(bin, "systemctl"): fake, filepath.Join(dir, "prerm"): strings.ReplaceAll(string(script), "/run/systemd/system", bin)} {
		// A file that another test's new process holds open for writing can't be run.
		syscall.ForkLock.RLock()
		err := os.WriteFile(path, []byte(text), 0o700) //nolint:gosec // it is run
		syscall.ForkLock.RUnlock()
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...) //nolint:gosec // the test's own
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	run(systemctl, "--root="+root, "enable", "kazoohook.service", "kazoohook@east.service", "kazoohook@west.service")
	for _, c := range []struct {
		action  string
		enabled int
		stopped bool
	}{{"upgrade", 3, false}, {"remove", 0, true}} {
		run("/bin/sh", filepath.Join(dir, "prerm"), c.action)
		links, err := filepath.Glob(filepath.Join(root, "etc", "systemd", "system", "*", "kazoohook*"))
		if err != nil || len(links) != c.enabled {
			t.Errorf("%s: enabled are %q, %v", c.action, links, err)
		}
		called, _ := os.ReadFile(calls) // without a call there is no file
		if stopped := strings.Contains(string(called), "stop kazoohook.service kazoohook@*.service\n"); stopped != c.stopped {
			t.Errorf("%s: systemctl was called with:\n%s", c.action, called)
		}
	}
}

// TestComposeFiles: each receiver has time to stop, keeps its data, and shares no port,
// volume or public URL with another.
func TestComposeFiles(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"compose.yaml", filepath.Join("deploy", "compose-several.yaml")} {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Services map[string]struct {
				Environment map[string]string
				Ports       []string
				Volumes     []string
				Secrets     []string
				StopGrace   string `yaml:"stop_grace_period"`
				ReadOnly    bool   `yaml:"read_only"`
			}
			Volumes map[string]any
			Secrets map[string]any
		}
		if err := yaml.Unmarshal(raw, &file); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		used := map[string]string{}
		receivers := 0
		for name, s := range file.Services {
			if s.Environment["PUBLIC_URL"] == "" {
				continue // the fake Kazoo
			}
			receivers++
			if s.StopGrace != "30s" || !s.ReadOnly || len(s.Volumes) != 1 || !strings.HasSuffix(s.Volumes[0], ":/data") {
				t.Errorf("%s: %s: %+v", path, name, s)
			}
			volume, _, _ := strings.Cut(s.Volumes[0], ":")
			if _, ok := file.Volumes[volume]; !ok {
				t.Errorf("%s: the volume %s is not declared", path, volume)
			}
			for _, secret := range s.Secrets {
				if _, ok := file.Secrets[secret]; !ok {
					t.Errorf("%s: the secret %s is not declared", path, secret)
				}
			}
			for _, own := range append(append([]string{volume, s.Environment["PUBLIC_URL"]}, s.Ports...), s.Secrets...) {
				if other := used[own]; other != "" {
					t.Errorf("%s: %s and %s share %s", path, name, other, own)
				}
				used[own] = name
			}
		}
		if receivers == 0 {
			t.Errorf("%s holds no receiver", path)
		}
	}
}

// TestPrefixSnippets: the examples with a path prefix differ in nothing else.
func TestPrefixSnippets(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"nginx%s.conf", "Caddyfile%s", "haproxy%s.cfg", "apache%s.conf"} {
		var texts [2]string
		for i, suffix := range []string{"", "-prefix"} {
			raw, err := os.ReadFile(filepath.Join("deploy", "proxies", fmt.Sprintf(name, suffix)))
			if err != nil {
				t.Fatal(err)
			}
			texts[i] = string(raw)
		}
		without := strings.NewReplacer("/hooks/kazoo", "/kazoo", "/hooks/healthz", "/healthz", "^/hooks/", "^/", ".com/hooks\n", ".com\n").Replace(texts[1])
		if without != texts[0] {
			t.Errorf("%s:\n%s\n%s", name, texts[0], without)
		}
	}
}
