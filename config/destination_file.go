package config

import (
	"crypto/tls"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// destinationsKey is the file's section for destinations.
const destinationsKey = "destinations"

var (
	destinationName = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
	plainName       = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
)

// destinationReader reads `destinations:`.
type destinationReader struct {
	compile  Compile
	without  []string
	list     []Destination
	problems Problems
	files    []string
	warnings []string
}

// read reads the section.
func (r *destinationReader) read(section ast.Node) {
	for name, body := range pairs(section) {
		place := destinationsKey + "." + placeName(name)
		switch {
		case slices.ContainsFunc(r.without, func(w string) bool { return w == place || strings.HasPrefix(w, place+".") }):
		case name == "":
			r.problems.add(destinationsKey, "", `takes names and settings, as in "destinations: {billing: {type: http, url: ...}}"`)
			return
		case !destinationName.MatchString(name):
			r.problems.add(place, "", "is not a valid name of a destination; use 1 to 40 of a-z, 0-9 and -")
		case slices.ContainsFunc(r.list, func(d Destination) bool { return d.Name == name }):
			r.problems.add(place, "", "is given twice")
		default:
			r.list = append(r.list, r.one(name, place, body))
		}
	}
}

// one reads the settings of one destination.
func (r *destinationReader) one(name, place string, body ast.Node) Destination {
	d := newDestination(name)
	d.files, d.Headers = map[string]string{}, map[string]Secret{}
	before := len(r.problems)
	values := map[string]ast.Node{}
	for key, value := range pairs(body) {
		if key == "" {
			r.problems.add(place, "", "takes settings, as in {type: http, url: ...}")
			return d
		}
		if inner, ok := templateOf(key, value); ok { // format: {body: ...}
			key, value = "body", inner
		}
		if _, twice := values[key]; twice {
			r.problems.add(place+"."+placeName(key), "", "is given twice")
		}
		values[key] = value
	}
	accepted := map[string]string{}
	for _, k := range destinationKeys() {
		if !r.typeKnown(d.Type) || k.of(d.Type) {
			r.key(&d, place, k, values, accepted)
		}
		if k.name == "type" && d.Type == "" && len(r.problems) == before {
			r.problems.add(place+".type", "", "is missing; use http, exec, amqp, nats or postgres")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if _, ok := accepted[key]; !ok {
			r.problems.add(place+"."+placeName(key), "", "is not a setting of a destination"+ofType(d.Type)+"; "+suggestKey(key, accepted))
		}
	}
	if d.Type != "" {
		r.check(&d, place, before, values)
	}
	return d
}

func (r *destinationReader) typeKnown(kind string) bool {
	return slices.Contains(destinationTypes(), kind)
}

// templateOf returns the template in `format: {body: ...}`.
func templateOf(key string, value ast.Node) (body ast.Node, ok bool) {
	if key != "format" {
		return nil, false
	}
	n := 0
	for inner, v := range pairs(value) {
		body, ok, n = v, inner == "body", n+1
	}
	return body, ok && n == 1
}

// key reads one key, in either of its forms.
func (r *destinationReader) key(d *Destination, place string, k destinationKey, values map[string]ast.Node, accepted map[string]string) {
	bad := false
	g := given{reader: r, key: k, place: place + "." + k.name, bad: &bad}
	accepted[k.name] = k.name
	direct, has := values[k.name]
	if _, null := direct.(*ast.NullNode); null {
		has = false
	}
	fileKey := k.name + strings.ToLower(fileSuffix)
	if k.file {
		accepted[fileKey] = k.name
		if path, ok := values[fileKey]; ok {
			f := g
			f.place = place + "." + fileKey
			switch {
			case k.name == "headers":
				if g.node = direct; has {
					k.read(d, g)
				}
				f.node = path
				k.read(d, f)
				return
			case has:
				f.fail("", "is given together with %s; use one of them", k.name)
				return
			default:
				f.node = path
				if f.text(&f.path); f.path != "" {
					d.files[fileKey] = f.path
					k.read(d, f)
				}
				return
			}
		}
	}
	if !has {
		return
	}
	g.node = direct
	if strings.HasSuffix(k.name, strings.ToLower(fileSuffix)) {
		if text, ok := scalar(direct); ok {
			d.files[k.name] = text
		}
	}
	k.read(d, g)
}

// check reports what is missing or contradictory, and what Options.Compile finds. A
// key with a problem gets no second one.
func (r *destinationReader) check(d *Destination, place string, before int, values map[string]ast.Node) {
	has := func(key string) bool {
		return slices.ContainsFunc(r.problems[before:], func(p Problem) bool {
			return topKey(strings.TrimPrefix(p.Variable, place+".")) == key || topKey(strings.TrimPrefix(p.Variable, place+".")) == key+"_file"
		})
	}
	fail := func(key, value, format string, args ...any) {
		if !has(key) {
			r.problems.add(place+"."+key, value, fmt.Sprintf(format, args...))
		}
	}
	for _, need := range []struct {
		key     string
		types   []string
		missing bool
	}{
		{"url", []string{"http", "amqp", "nats"}, d.URL.Empty()},
		{"command", []string{"exec"}, len(d.Command) == 0 || d.Command[0] == ""},
		{"dsn", []string{"postgres"}, d.DSN.Empty()},
	} {
		if need.missing && slices.Contains(need.types, d.Type) {
			fail(need.key, "", "is missing")
		}
	}
	if !d.URL.Empty() {
		schemes := map[string][]string{"http": {"https", "http"}, "amqp": {"amqps", "amqp"}, "nats": {"nats", "tls", "ws", "wss"}}[d.Type]
		for one := range strings.SplitSeq(d.URL.Reveal(), ",") {
			if err := checkAddress(strings.TrimSpace(one), schemes...); err != nil {
				text := d.URL.String()
				if d.files["url_file"] != "" {
					text = masked // all of it is a secret
				}
				fail("url", text, "%s", err)
			}
			if d.Type != "nats" {
				break // only NATS takes several
			}
		}
	}
	if _, ok := values["format"]; ok && d.Body != "" {
		fail("body", "", "is given together with format; use one of them")
	}
	if _, ok := values["type_prefix"]; ok && d.Format != "cloudevents" {
		r.warnings = append(r.warnings, place+".type_prefix: has no effect without format: cloudevents")
	}
	switch {
	case d.Cert == "" && d.Key.Empty():
	case d.Cert == "":
		fail("cert_file", "", "is missing although key_file is given; give both or none")
	case d.Key.Empty():
		fail("key_file", "", "is missing although cert_file is given; give both or none")
	default:
		if _, err := tls.X509KeyPair([]byte(d.Cert), []byte(d.Key.Reveal())); err != nil {
			fail("cert_file", d.files["cert_file"], "is not a certificate for the key in key_file: %s", strings.TrimPrefix(err.Error(), "tls: "))
		}
	}
	if r.compile == nil {
		return
	}
	problems, warnings := r.compile(*d)
	for _, w := range warnings {
		r.warnings = append(r.warnings, place+"."+w)
	}
	for _, p := range problems {
		if !has(topKey(p.Variable)) {
			r.problems.add(place+"."+p.Variable, p.Value, p.Text)
		}
	}
}

// topKey returns the first key of a place within a destination.
func topKey(place string) string {
	if i := strings.IndexAny(place, ".[:"); i >= 0 {
		return place[:i]
	}
	return place
}

func ofType(kind string) string {
	if kind == "" {
		return ""
	}
	return " of type " + kind
}

// placeName returns a name as a place shows it.
func placeName(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return strconv.Quote(name[:min(len(name), 100)])
}

// pairs returns the keys and values of a mapping; for anything else, one pair
// without a key.
func pairs(n ast.Node) iter.Seq2[string, ast.Node] {
	return func(yield func(string, ast.Node) bool) {
		var list []*ast.MappingValueNode
		switch n := n.(type) {
		case nil, *ast.NullNode:
			return
		case *ast.MappingNode:
			list = n.Values
		case *ast.MappingValueNode:
			list = append(list, n)
		default:
			yield("", n)
			return
		}
		for _, p := range list {
			key := ""
			if t := p.Key.GetToken(); t != nil {
				key = t.Value
			}
			if !yield(key, p.Value) {
				return
			}
		}
	}
}
