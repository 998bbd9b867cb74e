package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"kazoohook/config"
)

// partly is a configuration in which settings may be wrong. Each wrong one is
// replaced by a harmless value, and checks that need it are skipped.
type partly struct {
	cfg      *config.Config // nil: nothing could be read
	problems config.Problems
	given    int             // settings that were given
	bad      map[string]bool // by variable
}

// loginVariable represents all variables of the login, which are only right
// together.
const loginVariable = "KAZOO_USERNAME"

func loginVariables() []string {
	return []string{
		loginVariable, "KAZOO_PASSWORD", "KAZOO_HASH", "KAZOO_CREDENTIALS", "KAZOO_API_KEY", "KAZOO_ACCOUNT_NAME", "KAZOO_ACCOUNT_REALM",
	}
}

// clusterVariables define a cluster together: the others have no meaning if one is
// missing.
func clusterVariables() []string {
	return []string{"CLUSTER_PEERS", "CLUSTER_SIZE", "CLUSTER_NODE", "CLUSTER_SECRET", "CLUSTER_SECRET_PREVIOUS"}
}

// loadPartly reads the configuration and replaces wrong settings.
func (e *env) loadPartly(s settings) partly {
	p := partly{bad: map[string]bool{}}
	o := config.Options{File: e.file, Environ: e.environ, Flags: s.given(), Need: s.group, Compile: judgeDestination}
	// A replacement may cause a problem in a setting that depends on the first.
	// Each round settles at least one variable.
	for range len(config.Variables()) + 2 {
		cfg, err := config.Load(o)
		if err == nil {
			p.cfg = withTelemetry(cfg)
			break
		}
		var problems config.Problems
		if !errors.As(err, &problems) {
			problems = config.Problems{{Text: err.Error()}}
		}
		if p.problems == nil {
			p.problems = problems // later problems are consequences
		}
		for _, problem := range problems {
			o = p.replace(o, problem.Variable)
		}
	}
	if p.cfg != nil {
		p.given = len(slices.DeleteFunc(p.cfg.Settings(), func(s config.Setting) bool { return s.Origin == config.FromDefault }))
	}
	return p
}

// replace marks a variable as bad and returns options with a replacement.
func (p *partly) replace(o config.Options, name string) config.Options {
	if name == "" {
		return p.dropFile(o)
	}
	if name == "destinations" {
		o.Need &^= config.Onward
		return o
	}
	if strings.HasPrefix(name, "destinations.") {
		o.Without = append(o.Without, name)
		return o
	}
	base := strings.TrimSuffix(name, "_FILE")
	for _, v := range config.Variables() {
		if v.Name == name || v.Secret && v.Name == base {
			name = v.Name
		}
	}
	names := []string{name}
	for _, together := range [][]string{loginVariables(), {"TLS_CERT_FILE", "TLS_KEY_FILE"}, {"FORWARD_URL", "FORWARD_SECRET", "FORWARD_EVENTS"}, clusterVariables()} {
		if slices.Contains(together, name) {
			names = together
		}
	}
	for _, v := range config.Variables() {
		if slices.Contains(names, v.Name) {
			p.bad[v.Name] = true
			delete(o.Flags, v.FileName())
			o.Flags[v.Name] = standIn(v)
		}
	}
	return o
}

// dropFile continues without the configuration file. Settings that only the file
// could give are then unknown.
func (p *partly) dropFile(o config.Options) config.Options {
	o.File = ""
	o.Environ = slices.DeleteFunc(slices.Clone(o.Environ), func(line string) bool {
		return strings.HasPrefix(line, config.FileVariable+"=")
	})
	for _, v := range config.Variables() {
		inEnv := slices.ContainsFunc(o.Environ, func(line string) bool {
			name, value, _ := strings.Cut(line, "=")
			return value != "" && (name == v.Name || v.Secret && name == v.FileName())
		})
		_, flag := o.Flags[v.Name]
		_, fileFlag := o.Flags[v.FileName()]
		if !inEnv && !flag && !fileFlag && !slices.Contains(loginVariables(), v.Name) {
			p.bad[v.Name] = true
		}
	}
	return o
}

// standIn returns a value of v that is always valid.
func standIn(v config.Variable) string {
	switch v.Name {
	case "KAZOO_API_URL":
		return "http://127.0.0.1:1"
	case "PUBLIC_URL":
		return "https://kazoohook.invalid"
	case "ACME_CA":
		return "https://acme.invalid"
	case "KAZOO_API_KEY":
		return strings.Repeat("0", 64)
	case "ADMIN_ADDR":
		return "off"
	case "ADMIN_TOKEN":
		return strings.Repeat("x", 16)
	}
	return v.Literal()
}

// wrong returns the variables that are wrong.
func (p *partly) wrong(variables []string) []string {
	if p.cfg == nil && len(variables) > 0 {
		return variables
	}
	var out []string
	for _, v := range variables {
		if p.bad[v] {
			out = append(out, v)
		}
	}
	return out
}

// checkSettings reports the configuration's problems and warnings.
func (d *doctor) checkSettings(context.Context) ([]finding, bool) {
	var found []finding
	for _, p := range d.problems {
		what, advice, _ := strings.Cut(p.Text, "; ")
		if advice == "" {
			advice = "correct the setting; \"kazoohook config\" shows the effective ones"
		}
		p.Text = what
		found = append(found, broken(advice, "%s", p.Error()))
	}
	if d.cfg != nil && len(d.problems) == 0 {
		for _, w := range d.cfg.Warnings {
			found = append(found, warned("see \"kazoohook config\"", "%s", w))
		}
	}
	if found == nil {
		found = one(fine("%d settings given, nothing wrong with them", d.given))
	}
	return found, d.cfg != nil
}
