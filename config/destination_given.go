package config

import (
	"encoding"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// given is a value in the file with its place.
type given struct {
	reader *destinationReader
	place  string // destinations.billing.retry[2]
	node   ast.Node
	key    destinationKey
	path   string // of the file that holds it; "": node holds it
	bad    *bool  // a problem with it was found
}

// fail records a problem of the value.
func (g given) fail(value, format string, args ...any) {
	*g.bad = true
	if g.key.secret && value != "" && g.path == "" {
		value = masked
	}
	g.reader.problems.add(g.place, shown(Variable{}, value), fmt.Sprintf(format, args...))
}

func (g given) failed() bool { return *g.bad }

// at returns a part of the value.
func (g given) at(suffix string, n ast.Node) given {
	g.place, g.node = g.place+suffix, n
	return g
}

// scalar returns a single value as the file spells it.
func (g given) scalar() (string, bool) {
	if g.path != "" {
		content, problem := g.readFile(maxSecretFile)
		if problem != "" {
			g.fail(g.path, "%s", problem)
			return "", false
		}
		return strings.TrimRight(content, "\r\n"), true
	}
	if alias, ok := g.node.(*ast.AnchorNode); ok {
		g.node = alias.Value
	}
	text, ok := scalar(g.node)
	if !ok {
		g.fail("", "takes a single value")
	}
	return text, ok
}

// readFile reads the file that the value names and adds it to the watched files.
func (g given) readFile(limit int64) (content, problem string) {
	b, problem := readBounded(g.path, limit)
	g.reader.files = append(g.reader.files, g.path)
	content = strings.TrimPrefix(string(b), byteOrderMark)
	switch {
	case problem != "":
	case strings.HasPrefix(content, "\xff\xfe"), strings.HasPrefix(content, "\xfe\xff"):
		problem = "is UTF-16 text; save it as UTF-8, without a byte order mark"
	case strings.TrimSpace(content) == "":
		problem = "is empty; put the value into the file"
	case strings.Contains(content, "\x00"):
		problem = "holds a zero byte; is it the right file?"
	}
	if info, err := os.Stat(g.path); err == nil && g.key.hides() && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0 {
		g.reader.warnings = append(g.reader.warnings, fmt.Sprintf("%s: %q can be read by every user of this machine; change its mode, e.g. to 0600", g.place, g.path))
	}
	return content, problem
}

// hides reports whether a file of the key holds a secret.
func (k destinationKey) hides() bool {
	return k.secret || k.file || k.name == "key_file" || k.name == "credentials_file"
}

func (g given) text(target *string) {
	if text, ok := g.scalar(); ok {
		*target = text
	}
}

func (g given) value(target encoding.TextUnmarshaler) {
	text, ok := g.scalar()
	if !ok {
		return
	}
	if err := target.UnmarshalText([]byte(text)); err != nil {
		g.fail(text, "%s", err)
	}
}

func (g given) oneOf(target *string, accepted ...string) {
	text, ok := g.scalar()
	if !ok {
		return
	}
	if err := setEnum(target, []byte(text), accepted...); err != nil {
		g.fail(text, "%s", err)
	}
}

func (g given) boolean(target *bool) {
	text, ok := g.scalar()
	if !ok {
		return
	}
	b, err := parseBool(text)
	if err != nil {
		g.fail(text, "%s", err)
		return
	}
	*target = b
}

func (g given) number(target *int, least, most int) {
	text, ok := g.scalar()
	if !ok {
		return
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		g.fail(text, "is out of range; use a whole number from %d to %d", least, most)
		return
	}
	*target = n
}

func (g given) duration(target *time.Duration, most time.Duration) {
	text, ok := g.scalar()
	if !ok {
		return
	}
	d, err := parseDuration(text)
	switch {
	case err != nil:
		g.fail(text, "%s", err)
	case d <= 0 || d > most:
		g.fail(text, "is out of range; use more than 0 and at most %s", formatDuration(most))
	default:
		*target = d
	}
}

// items returns the values of a list, or of a text with commas or lines.
func (g given) items() (list []given) {
	if seq, ok := g.node.(*ast.SequenceNode); ok && g.path == "" {
		for i, n := range seq.Values {
			list = append(list, g.at(fmt.Sprintf("[%d]", i), n))
		}
		return list
	}
	return []given{g}
}

// words returns the texts of a list that pass check.
func (g given) words(check func(string) error) []string {
	list := []string{}
	for _, item := range g.items() {
		text, ok := item.scalar()
		if !ok {
			continue
		}
		for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
			if word = strings.TrimSpace(word); word == "" {
				continue
			}
			if check != nil {
				if err := check(word); err != nil {
					item.fail(word, "%s", err)
					continue
				}
			}
			list = append(list, word)
		}
	}
	return list
}
