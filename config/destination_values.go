package config

import (
	"crypto/x509"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"golang.org/x/net/http/httpguts"
)

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
