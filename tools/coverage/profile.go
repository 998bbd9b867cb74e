package main

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

// tally counts statements.
type tally struct{ Statements, Covered int }

func (t tally) percent() float64 {
	if t.Statements == 0 {
		return 100
	}
	return 100 * float64(t.Covered) / float64(t.Statements)
}

func (t *tally) add(o tally) {
	t.Statements += o.Statements
	t.Covered += o.Covered
}

// readProfile counts a coverage profile of go test by package. With -coverpkg each
// test binary reports on every package, so a block comes many times. It is covered if
// one binary ran it.
func readProfile(r io.Reader) (map[string]tally, error) {
	type block struct {
		statements int
		covered    bool
	}
	blocks := map[string]block{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := lines.Text()
		if n == 1 && strings.HasPrefix(text, "mode: ") {
			continue
		}
		// kazoohook/server/server.go:12.34,15.2 3 1
		fields := strings.Fields(text)
		if len(fields) != 3 {
			return nil, fmt.Errorf("line %d: %q is not a block", n, text)
		}
		statements, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		b := blocks[fields[0]]
		blocks[fields[0]] = block{statements, b.covered || fields[2] != "0"}
	}
	packages := map[string]tally{}
	for place, b := range blocks {
		file, _, ok := strings.Cut(place, ":")
		if !ok {
			return nil, fmt.Errorf("%q names no file", place)
		}
		t := packages[path.Dir(file)]
		t.Statements += b.statements
		if b.covered {
			t.Covered += b.statements
		}
		packages[path.Dir(file)] = t
	}
	return packages, lines.Err()
}
