package config

import (
	"errors"
	"os"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Options says what Load reads.
type Options struct {
	File    string            // YAML file; empty: the one that KAZOOHOOK_CONFIG names, or none
	Environ []string          // NAME=value, as os.Environ
	Flags   map[string]string // by variable name (KAZOO_API_URL, KAZOO_PASSWORD_FILE): only flags that were given
	Need    Group             // the groups to read and validate
	// Compile, if set, checks a destination beyond its form, and warns of what is
	// probably not meant.
	Compile Compile
	// Without lists destinations to leave out, each by a place:
	// "destinations.billing" or one within it.
	Without []string
}

// Compile checks a destination. A problem's Variable is a place within it, such as
// "where" or "retry[2]"; a warning begins with one.
type Compile func(Destination) (problems []Problem, warnings []string)

// FileVariable names the configuration file where no flag does.
const FileVariable = "KAZOOHOOK_CONFIG"

// The origins of a value, weakest first.
const (
	FromDefault = "default"
	FromFile    = "file"
	FromEnv     = "env"
	FromFlag    = "flag"
)

// Load reads the configuration: defaults, file, environment, flags. An empty
// environment variable or YAML value counts as not given. The error is of type
// Problems and lists everything wrong at once.
func Load(o Options) (*Config, error) {
	l, env, readable := read(o)
	l.config.derive()
	if o.Need&Cluster != 0 {
		l.config.deriveCluster()
	}
	l.config.otel = values{}
	for name, value := range env {
		if strings.HasPrefix(name, otelPrefix) {
			l.config.otel[name] = value
		}
	}
	if readable { // otherwise the missing settings are probably in the file
		l.problems = append(l.problems, l.config.validate(o.Need, l.bad, o.Compile)...)
	}
	l.problems.sort()
	if err := l.problems.err(); err != nil {
		return nil, err
	}
	if o.Need&Onward != 0 && !l.config.ForwardURL.Empty() {
		forward := l.config.forward()
		l.config.Destinations = append(l.config.Destinations, forward)
		if o.Compile != nil {
			_, warnings := o.Compile(forward)
			for _, w := range warnings {
				l.warn("%s: %s", forwardVariable(w), w)
			}
		}
	}
	l.config.Warnings = append(l.config.warnings(o.Need, env), l.warnings...)
	return l.config, nil
}

// Known returns every setting of all groups that can be read, whatever is wrong with
// it or with others. It is for masking: a command that needs few settings may still
// show a secret that others hold.
func Known(o Options) *Config {
	o.Need = All
	l, _, _ := read(o)
	if !l.config.ForwardURL.Empty() {
		l.config.Destinations = append(l.config.Destinations, l.config.forward())
	}
	return l.config
}

// read reads the settings of the needed groups. readable is false if the file can't be
// read.
func read(o Options) (l *loader, env values, readable bool) {
	l = &loader{config: Default(), bad: map[string]bool{}, options: o}
	l.config.origins = map[string]string{}
	env = environ(o.Environ)
	file := o.File
	if file == "" {
		file = l.unquote(FileVariable, env[FileVariable])
	}
	fromFile, readable := values{}, true
	if file != "" {
		fromFile, readable = l.readFile(file)
	}
	for _, v := range Variables() {
		if v.Group&o.Need == 0 && !(v.Name == "ACME_DOMAINS" && o.Need&Delivery != 0) { // PUBLIC_URL may follow from it
			continue
		}
		// The strongest source that gives the value decides. So a wrong value in a
		// weaker one has no effect, and a flag equal to the default still wins.
		for _, s := range []struct {
			origin string
			values values
		}{{FromFlag, o.Flags}, {FromEnv, env}, {FromFile, fromFile}} {
			if l.apply(v, s.origin, s.values) {
				break
			}
		}
	}
	if o.Need&Onward != 0 {
		l.readDestinations()
	}
	return l, env, readable
}

// values are texts by variable name.
type values map[string]string

// environ drops empty variables: compose files and unit files set them for
// "not given".
func environ(lines []string) values {
	out := values{}
	for _, line := range lines {
		if k, v, ok := strings.Cut(line, "="); ok && v != "" {
			out[k] = strings.TrimPrefix(v, byteOrderMark)
		}
	}
	return out
}

type loader struct {
	config   *Config
	problems Problems
	bad      map[string]bool // variables that have a problem already
	warnings []string
	options  Options
	section  ast.Node // destinations of the file
}

// readDestinations reads the file's destinations.
func (l *loader) readDestinations() {
	r := destinationReader{compile: l.options.Compile, without: l.options.Without}
	r.read(l.section)
	l.problems = append(l.problems, r.problems...)
	l.warnings = append(l.warnings, r.warnings...)
	l.config.secretFiles = append(l.config.secretFiles, r.files...)
	l.config.Destinations = r.list
}

// apply sets v from vals and reports whether it was given there.
func (l *loader) apply(v Variable, origin string, vals values) bool {
	text, given := vals[v.Name]
	fromFile := false
	if v.Secret {
		if path, ok := vals[v.FileName()]; ok {
			if origin == FromEnv {
				path = l.unquote(v.FileName(), path)
			}
			if given {
				l.fail(v, Problem{Variable: v.Name, Text: "is given together with " + v.FileName() + "; use one of them"})
				return true
			}
			secret, problem := readSecret(path, v.lines)
			if problem != "" {
				l.fail(v, Problem{Variable: v.FileName(), Value: path, Text: problem})
				return true
			}
			text, given, fromFile = secret, true, true
			l.config.secretFiles = append(l.config.secretFiles, path)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0 {
				l.warn("%s: %q can be read by every user of this machine; change its mode, e.g. to 0600", v.FileName(), path)
			}
		}
	}
	if !given {
		return false
	}
	if origin == FromEnv || fromFile {
		text = l.unquote(v.Name, text)
	}
	l.config.origins[v.Name] = origin
	if err := v.set(l.config, text); err != nil {
		for _, err := range splitErrors(err) {
			p := Problem{Variable: v.Name, Value: shown(v, text), Text: err.Error()}
			var part valueError
			if errors.As(err, &part) {
				p.Value, p.Text = part.value, part.text
			}
			l.fail(v, p)
		}
		return true
	}
	l.warnOfEdges(v, text)
	return true
}

func (l *loader) fail(v Variable, p Problem) {
	l.bad[v.Name] = true
	l.problems = append(l.problems, p)
}

func splitErrors(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return []error{err}
}

// shown returns a value as a problem may repeat it.
func shown(v Variable, text string) string {
	if v.Secret && text != "" {
		return masked
	}
	// user:password@ in something that should have been a URL
	if at := strings.LastIndex(text, "@"); at >= 0 {
		start := 0
		if i := strings.Index(text, "//"); i >= 0 && i < at {
			start = i + 2
		}
		text = text[:start] + masked + text[at:]
	}
	const most = 200
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
