//go:build linux && (amd64 || arm64)

package power

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const writerDir = "KAZOOHOOK_CHAOS_POWER_DIR"

// TestMain also runs the program whose power is cut.
func TestMain(m *testing.M) {
	err := Become()
	if dir := os.Getenv(writerDir); dir != "" && err == nil {
		if err = write(dir); err == nil {
			fmt.Println("written")
			_, err = io.Copy(io.Discard, os.Stdin) // until it is killed
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // the child ends here
	}
	if os.Getenv(writerDir) == "" {
		os.Exit(m.Run()) //nolint:forbidigo // this is a main
	}
}

// write writes data that a disk may keep or lose. A capital letter must be kept, a
// small one may be lost.
func write(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return err
	}
	file := func(name string, flags int, do ...string) error {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|flags, 0o600) //nolint:gosec // of this test
		for _, text := range do {
			if err == nil && text == "sync" {
				err = f.Sync()
			} else if err == nil {
				_, err = f.WriteString(text)
			}
		}
		if err != nil {
			return err
		}
		return f.Close()
	}
	for _, step := range []func() error{
		func() error { return file("synced", 0, "A", "sync", "B", "sync") },
		func() error { return file("tail", 0, "A", "sync", "bc") },
		func() error { return file("never", 0, "abc") },
		func() error { return file("new", 0, "A", "sync") },
		func() error { return os.Rename("new", "renamed") },
		func() error { return file("hasty", 0, "a") },
		func() error { return os.Rename("hasty", "hastily") },
		func() error { return file("gone", 0, "a", "sync") },
		func() error { return os.Remove("gone") },
		func() error { return file("again", 0, "a", "sync") },
		func() error { return os.Remove("again") },
		func() error { return file("again", 0, "b") }, // perhaps with the same inode number
		func() error { return file("cut", 0, "ABC", "sync") },
		func() error { return os.Truncate("cut", 1) },
		func() error { return file("direct", os.O_SYNC, "AB") },
		func() error { return os.Mkdir("deep", 0o700) },
		func() error { return file(filepath.Join(dir, "deep", "meta.tmp"), os.O_SYNC, "AB") },
		func() error { return os.Rename("deep/meta.tmp", "deep/meta") },
		func() error { return file(filepath.Join(dir, "deep", "meta.tmp"), os.O_SYNC, "CD") },
		func() error { return os.Rename("deep/meta.tmp", "deep/meta") },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// lose runs the program until it has written everything, and then cuts its power.
func lose(t *testing.T, random *rand.Rand) map[string]string {
	t.Helper()
	if err := Check(); errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		t.Skip("programs can't be observed here: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
	dir, image := t.TempDir(), t.TempDir()
	r, err := NewRecorder(dir, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self) //nolint:gosec // ourselves
	cmd.Env = append(os.Environ(), writerDir+"="+dir)
	cmd.Stderr = t.Output()
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "written\n" {
		t.Fatalf("the program said %q, %v", line, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	if err := r.Image(image, random); err != nil {
		t.Fatal(err)
	}
	if r.Err() != nil || r.copied != 7 {
		t.Errorf("%d syncs, %v", r.copied, r.Err())
	}
	kept := map[string]string{}
	if err := filepath.WalkDir(image, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path) //nolint:gosec // no other process is there
		kept[strings.TrimPrefix(path, image+"/")] = string(raw)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return kept
}

// TestImage proves that exactly what was synced is kept.
func TestImage(t *testing.T) {
	t.Parallel()
	got := lose(t, nil)
	want := map[string]string{"synced": "AB", "tail": "A", "renamed": "A", "cut": "ABC", "direct": "AB", "deep/meta": "CD"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("kept %v, want %v", got, want)
	}
}

// TestMoreThanSynced proves that what was synced is also kept by a disk that wrote
// more than it had to.
func TestMoreThanSynced(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		got := lose(t, rand.New(rand.NewPCG(seed, 0))) //nolint:gosec // repeatable on purpose
		for name, is := range map[string][]string{
			"synced": {"AB"}, "tail": {"A", "Ab", "Abc"}, "renamed": {"A"}, "cut": {"ABC", "A"}, "direct": {"AB"}, "deep/meta": {"CD"},
			"never": {"", "a", "ab", "abc"}, "hastily": {"", "a"}, "again": {"", "b"},
		} {
			if !strings.Contains(" "+strings.Join(is, " ")+" ", " "+got[name]+" ") {
				t.Errorf("seed %d: %s holds %q, want one of %q", seed, name, got[name], is)
			}
			delete(got, name)
		}
		if len(got) > 0 {
			t.Errorf("seed %d: %v", seed, got)
		}
	}
}
