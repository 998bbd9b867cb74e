package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestCompletionsNameEverything: each kind has every command and flag. Its program
// accepts it, if that is installed.
func TestCompletionsNameEverything(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(newCommands(), kong.Name("kazoohook"), kong.Vars{"version": "x"})
	if err != nil {
		t.Fatal(err)
	}
	for kind, c := range map[string]struct {
		flag  string // how a flag is written
		check []string
	}{
		"bash": {"--%s", []string{"bash", "-n"}},
		"zsh":  {"--%s", []string{"zsh", "-n"}},
		"fish": {" -l %s ", []string{"fish", "--no-execute"}},
		"man":  {"--%s", []string{"man", "--warnings", "-E", "UTF-8", "-l"}},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := program(t, nil, "completion", kind)
			if code != 0 || stderr != "" {
				t.Fatalf("code %d, %s", code, stderr)
			}
			text := strings.ReplaceAll(stdout, `\-`, "-")
			for _, n := range parser.Model.Leaves(true) {
				if !strings.Contains(text, n.Name) {
					t.Errorf("%s is missing", n.Name)
				}
				for _, f := range n.Flags {
					if !f.Hidden && !strings.Contains(text, fmt.Sprintf(c.flag, f.Name)) {
						t.Errorf("--%s of %s is missing", f.Name, n.Name)
					}
				}
			}
			if strings.Contains(text, "completion") && kind == "man" {
				t.Error("the page shows a hidden command")
			}
			if _, err := exec.LookPath(c.check[0]); err != nil {
				t.Skip("there is no " + c.check[0])
			}
			file := filepath.Join(t.TempDir(), "completion")
			if err := os.WriteFile(file, []byte(stdout), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), c.check[0], append(slices.Clone(c.check[1:]), file)...) //nolint:gosec // the table above says what runs
			cmd.Stdout = nil                                                                                // the page itself
			var complaints strings.Builder
			cmd.Stderr = &complaints
			if err := cmd.Run(); err != nil || complaints.Len() > 0 {
				t.Errorf("%v: %s", err, complaints.String())
			}
		})
	}
}

// TestBashCompletes completes what people type.
func TestBashCompletes(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("there is no bash")
	}
	script, _, _ := program(t, nil, "completion", "bash")
	dir := t.TempDir()
	for name, text := range map[string]string{"completion": script, "some-backup.db": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for typed, want := range map[string]string{
		"":                              "serve demo fake plan",
		"ser":                           "serve",
		"--ver":                         "--version",
		"doc":                           "doctor",
		"serve --kazoo-api-u":           "--kazoo-api-url",
		"events --format ":              "json table",
		"backup some":                   "some-backup.db",
		"--config some":                 "some-backup.db",
		"serve --config some":           "some-backup.db",
		"help uns":                      "",
		"help unr":                      "unregister",
		"events --since ":               "",
		"--config x.yaml restore --rep": "--replace",
	} {
		t.Run(typed, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "bash", "--norc", "-c", `compopt() { :; }; . ./completion
COMP_WORDS=(kazoohook "$@"); COMP_CWORD=$#; _kazoohook; echo "${COMPREPLY[*]}"`, "bash")
			cmd.Args = append(cmd.Args, strings.Split(typed, " ")...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if got := strings.TrimSpace(string(out)); err != nil || !strings.HasPrefix(got, want) || want == "" && got != "" {
				t.Errorf("%q, %v; want %q", got, err, want)
			}
		})
	}
}

// TestFishCompletes completes what people type.
func TestFishCompletes(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("fish"); err != nil {
		t.Skip("there is no fish")
	}
	script, _, _ := program(t, nil, "completion", "fish")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "completion"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	for typed, want := range map[string]string{
		"ser": "serve", "--ver": "--version", "serve --kazoo-api-u": "--kazoo-api-url", "events --format ": "json table", "help unr": "unregister", "help zz": "",
	} {
		t.Run(typed, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "fish", "--no-config", "-c", "source completion; complete -C 'kazoohook "+typed+"'") //nolint:gosec // the table above
			cmd.Dir = dir
			out, err := cmd.Output()
			var got []string
			for line := range strings.Lines(string(out)) {
				name, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
				got = append(got, name)
			}
			if err != nil || strings.Join(got, " ") != want {
				t.Errorf("%q, %v; want %q", got, err, want)
			}
		})
	}
}
