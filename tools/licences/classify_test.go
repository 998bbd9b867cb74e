package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	apache, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	golang, err := os.ReadFile(filepath.Join(runtime.GOROOT(), "LICENSE"))
	if err != nil {
		t.Skip("the toolchain has no LICENSE:", err)
	}
	for name, test := range map[string]struct {
		text, want string
		permissive bool
	}{
		"our own":        {string(apache), "Apache-2.0", true},
		"Go's":           {string(golang), "BSD-3-Clause", true},
		"other wrapping": {strings.ReplaceAll(string(golang), " ", "\n\t "), "BSD-3-Clause", true},
		"GPL":            {"GNU GENERAL PUBLIC LICENSE\n Version 3", "GPL", false},
		"dual":           {string(golang) + "or, at your option, the GNU Affero General Public License", "AGPL", false},
		"MPL":            {"Mozilla Public License Version 2.0 ... GNU General Public License", "MPL-2.0", false},
		"CC0":            {"released with CC0 1.0.\n Creative Commons Legal Code\n", "CC0-1.0", true},
		"unknown":        {"All rights reserved.", "of a kind that is not known here", false},
		"empty":          {"", "of a kind that is not known here", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := classify([]byte(test.text))
			if got != test.want || ok != test.permissive {
				t.Errorf("got %q, %v; want %q, %v", got, ok, test.want, test.permissive)
			}
		})
	}
}

func TestClassifyAllNamesTheFile(t *testing.T) {
	t.Parallel()
	_, err := classifyAll(map[string][]byte{"COPYING": []byte("GNU General Public License")})
	if err == nil || !strings.Contains(err.Error(), "COPYING is GPL: not known to be permissive") {
		t.Errorf("got %v", err)
	}
}
