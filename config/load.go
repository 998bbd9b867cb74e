package config

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
)

// Options says where to read from.
type Options struct {
	File    string            // YAML file; empty: the one that KAZOOHOOK_CONFIG names, or none
	Environ []string          // NAME=value, as os.Environ
	Flags   map[string]string // by variable name (KAZOO_API_URL, KAZOO_PASSWORD_FILE): only flags that were given
	Need    Group             // the groups to read and validate
}

// FileVariable names the configuration file where no flag does.
const FileVariable = "KAZOOHOOK_CONFIG"

// The origins of a value, weakest first.
const (
	FromDefault = "default"
	FromFile    = "file"
	FromEnv     = "env"
	FromFlag    = "flag"
)

// maxSecretFile bounds what is read as a secret: a wrong path is more likely
// than a long secret.
const maxSecretFile = 4096

// Load reads the configuration: defaults, file, environment, flags. An empty
// environment variable or YAML value counts as not given. The error is of type
// Problems and lists everything wrong at once.
func Load(o Options) (*Config, error) {
	l := loader{config: Default(), bad: map[string]bool{}}
	l.config.origins = map[string]string{}
	env := environ(o.Environ)

	file := o.File
	if file == "" {
		file = env[FileVariable]
	}
	fromFile, readable := values{}, true
	if file != "" {
		fromFile, readable = l.readFile(file)
	}
	for _, v := range Variables() {
		if v.Group&o.Need == 0 {
			continue
		}
		// The strongest that was given decides, so that a weaker one that is
		// wrong does no harm and a flag equal to the default still wins.
		for _, s := range []struct {
			origin string
			values values
		}{{FromFlag, o.Flags}, {FromEnv, env}, {FromFile, fromFile}} {
			if l.apply(v, s.origin, s.values) {
				break
			}
		}
	}
	if readable { // else what is missing is probably in the file
		l.problems = append(l.problems, l.config.validate(o.Need, l.bad)...)
	}
	l.problems.sort()
	if err := l.problems.err(); err != nil {
		return nil, err
	}
	l.config.Warnings = l.config.warnings(o.Need, env)
	return l.config, nil
}

// values are texts by variable name.
type values map[string]string

// environ drops empty variables: compose files and unit files set them for
// "not given".
func environ(lines []string) values {
	out := values{}
	for _, line := range lines {
		if k, v, ok := strings.Cut(line, "="); ok && v != "" {
			out[k] = v
		}
	}
	return out
}

type loader struct {
	config   *Config
	problems Problems
	bad      map[string]bool // variables that have a problem already
}

// apply sets v from vals and reports whether it was given there.
func (l *loader) apply(v Variable, origin string, vals values) bool {
	text, given := vals[v.Name]
	if v.Secret {
		if path, ok := vals[v.FileName()]; ok {
			if given {
				l.fail(v, Problem{Variable: v.Name, Text: "is given together with " + v.FileName() + "; use one of them"})
				return true
			}
			secret, problem := readSecret(path)
			if problem != "" {
				l.fail(v, Problem{Variable: v.FileName(), Value: path, Text: problem})
				return true
			}
			text, given = secret, true
		}
	}
	if !given {
		return false
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
	}
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

// shown is a value as a problem may repeat it.
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

// readSecret reads a secret from a file; problem says what is wrong with it.
func readSecret(path string) (secret, problem string) {
	b, problem := readBounded(path, maxSecretFile)
	if problem != "" {
		return "", problem
	}
	s := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	switch {
	case s == "":
		return "", "is empty; put the secret into the file"
	case strings.ContainsAny(s, "\n\r\x00"):
		return "", "holds more than one line; put the secret alone into the file"
	}
	return s, ""
}

// readBounded reads a regular file (or a pipe, as process substitution gives)
// of at most limit bytes.
func readBounded(path string, limit int64) (content []byte, problem string) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "can't be read: " + cause(err)
	}
	defer func() { _ = f.Close() }() // only read from
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, "can't be read: " + cause(err)
	case int64(len(b)) > limit:
		return nil, "is larger than " + Size(limit).String() + "; is it the right file?"
	}
	return b, ""
}

// cause leaves out the path that the message names already.
func cause(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// Setting is one effective value, for display.
type Setting struct {
	Variable
	Value  string // as it could be given; secrets masked
	Origin string // FromDefault, FromFile, FromEnv or FromFlag
}

// Settings lists the effective values in the order of the documentation.
func (c *Config) Settings() []Setting {
	vars := Variables()
	out := make([]Setting, 0, len(vars))
	for _, v := range vars {
		s := Setting{Variable: v, Value: v.format(c), Origin: FromDefault}
		if o, ok := c.origins[v.Name]; ok {
			s.Origin = o
		}
		out = append(out, s)
	}
	return slices.Clip(out)
}

// Secrets returns the values of all secrets, for whoever has to keep them out
// of what is printed.
func (c *Config) Secrets() []string {
	var out []string
	for _, s := range []Secret{c.KazooPassword, c.KazooCredentials, c.KazooAPIKey, c.HookSecret, c.HookSecretPrevious, c.AdminToken} {
		if !s.Empty() {
			out = append(out, s.Reveal())
		}
	}
	return out
}
