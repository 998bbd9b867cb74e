package config

import (
	"maps"
	"reflect"
	"slices"
)

// Setting is an effective value, for display.
type Setting struct {
	Variable
	Value  string // as the setting takes it; secrets masked
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

// SecretFiles are the files that were read and may change while the service
// runs: the configuration file, and those of secrets and destinations.
func (c *Config) SecretFiles() []string { return c.secretFiles }

// Changed returns the variables whose values differ in other. A hook secret that other
// doesn't give is no difference: the one in use stays.
func (c *Config) Changed(other *Config) (names []string) {
	for _, v := range Variables() {
		if v.Name == "HOOK_SECRET" && other.HookSecret.Empty() {
			continue
		}
		if !reflect.DeepEqual(c.field(v).Interface(), other.field(v).Interface()) {
			names = append(names, v.Name)
		}
	}
	return names
}

// DropsHookSecret reports whether c was given a hook secret and other is not, so that a
// start with other would take the one in the data directory.
func (c *Config) DropsHookSecret(other *Config) bool {
	_, given := c.origins["HOOK_SECRET"]
	return given && other.HookSecret.Empty()
}

// With returns c with the destinations of other and its values of some variables. A hook
// secret that other doesn't give stays, as in Changed.
func (c *Config) With(other *Config, variables []string) *Config {
	out := *c
	out.origins = map[string]string{}
	maps.Copy(out.origins, c.origins)
	out.Destinations = other.Destinations
	for _, v := range Variables() {
		if !slices.Contains(variables, v.Name) || v.Name == "HOOK_SECRET" && other.HookSecret.Empty() {
			continue
		}
		out.field(v).Set(other.field(v))
		delete(out.origins, v.Name)
		if origin, given := other.origins[v.Name]; given {
			out.origins[v.Name] = origin
		}
	}
	return &out
}

func (c *Config) field(v Variable) reflect.Value { return reflect.ValueOf(c).Elem().Field(v.index) }

// Secrets returns the values of all secrets, so that they can be masked in what
// is printed.
func (c *Config) Secrets() []string {
	var out []string
	for _, s := range []Secret{c.KazooPassword, c.KazooCredentials, c.KazooAPIKey, c.HookSecret, c.HookSecretPrevious, c.AdminToken, c.ClusterSecret, c.ClusterSecretPrevious} {
		if !s.Empty() {
			out = append(out, s.Reveal())
		}
	}
	for _, d := range c.Destinations {
		out = append(out, d.secrets()...)
	}
	return out
}
