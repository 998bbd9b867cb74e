package config

import (
	"crypto/x509"
	"encoding"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"golang.org/x/net/http/httpguts"
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

// longestWait bounds one wait between attempts.
const longestWait = 30 * 24 * time.Hour

// durations returns the waits between attempts.
func (g given) durations() []time.Duration {
	list := []time.Duration{}
	items := g.items()
	if len(items) > 100 {
		g.fail("", "holds %d waits; use at most 100", len(items))
		return list
	}
	for _, item := range items {
		if text, ok := scalar(item.node); ok && strings.Contains(text, ",") {
			for word := range strings.SplitSeq(text, ",") {
				var d time.Duration
				item.wait(strings.TrimSpace(word), &d)
				list = append(list, d)
			}
			continue
		}
		var d time.Duration
		item.duration(&d, longestWait)
		list = append(list, d)
	}
	return list
}

// wait reads one wait.
func (g given) wait(text string, target *time.Duration) {
	d, err := parseDuration(text)
	switch {
	case err != nil:
		g.fail(text, "%s", err)
	case d <= 0 || d > longestWait:
		g.fail(text, "is out of range; use more than 0 and at most %s", formatDuration(longestWait))
	}
	*target = d
}

// command returns a program and its arguments, unchanged.
func (g given) command() (list []string) {
	if _, ok := g.node.(*ast.SequenceNode); !ok {
		text, ok := g.scalar()
		if ok && strings.ContainsAny(text, " \t") {
			g.fail(text, "is one text; use a list, [path, arg, ...]: no shell splits it")
		}
		return []string{text}
	}
	for _, item := range g.items() {
		if text, ok := item.scalar(); ok {
			list = append(list, text)
		}
	}
	return list
}

// headers reads names and values, or the files of values.
func (g given) headers(d *Destination) {
	fromFiles := strings.HasSuffix(g.place, ".headers_file")
	for name, value := range pairs(g.node) {
		if name == "" {
			g.fail("", "takes names and values, {Name: value}")
			return
		}
		h := g.at("."+placeName(name), value)
		text, ok := h.scalar()
		if !ok {
			continue
		}
		if fromFiles {
			if h.path = text; text == "" {
				h.fail("", "names no file")
				continue
			}
			d.files["headers_file."+name] = text
			if text, ok = h.scalar(); !ok {
				continue
			}
		}
		taken := slices.ContainsFunc(slices.Collect(maps.Keys(d.Headers)), func(other string) bool { return strings.EqualFold(other, name) })
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			h.fail("", "is not a valid header name")
		case reserved(name):
			h.fail("", "can't be set: it is made for each request")
		case taken:
			h.fail("", "is given twice")
		case !httpguts.ValidHeaderFieldValue(text):
			h.fail("", "holds a value that no header can have; use one line of printable characters")
		default:
			d.Headers[name] = NewSecret(text)
		}
	}
}

// reserved reports whether kazoohook sets the header itself.
func reserved(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "webhook-") || strings.HasPrefix(name, "kazoohook-") ||
		slices.Contains([]string{"content-length", "transfer-encoding", "connection", "host", "traceparent"}, name)
}

// content reads the file that the value names.
func (g given) content(target *string, limit int64) {
	path, ok := g.scalar()
	if !ok || path == "" {
		return
	}
	g.path = path
	content, problem := g.readFile(limit)
	if problem != "" {
		g.fail(path, "%s", problem)
		return
	}
	*target = content
}

// certificates reads a file of certificates.
func (g given) certificates(target *string) {
	g.content(target, maxFile)
	if *target == "" || g.failed() {
		return
	}
	if !x509.NewCertPool().AppendCertsFromPEM([]byte(*target)) {
		path, _ := g.scalar()
		g.fail(path, "holds no certificate; use a file of PEM certificates")
	}
}

// checkAccount refuses what is not an account id.
func checkAccount(id string) error {
	if !accountID.MatchString(id) {
		return errors.New("is not an account id; use its 32 lower-case hexadecimal digits")
	}
	return nil
}
