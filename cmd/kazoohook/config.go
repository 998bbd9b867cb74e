package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"

	"kazoohook/config"
)

// configCmd prints the effective configuration.
type configCmd struct {
	Format string `enum:"yaml,json,env" default:"yaml" help:"yaml, json or env."`
	settings
}

// Run prints the settings, or fails with everything that is wrong with them.
func (c *configCmd) Run(_ context.Context, e *env) error {
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		if _, err := fmt.Fprintf(e.stderr, "kazoohook: warning: %s\n", w); err != nil {
			return err
		}
	}
	switch c.Format {
	case "json":
		return printJSON(e.stdout, cfg)
	case "env":
		return printSettings(e.stdout, cfg, func(s config.Setting) string {
			return "# " + s.Origin + "\n" + commented(s) + s.Name + "=" + quoted(s.Value, shellQuote)
		})
	}
	return printSettings(e.stdout, cfg, func(s config.Setting) string {
		return commented(s) + s.Key() + ": " + quoted(s.Value, yamlQuote) + " # " + s.Origin
	})
}

// printSettings prints what line makes of each setting.
func printSettings(w io.Writer, cfg *config.Config, line func(config.Setting) string) error {
	for _, s := range cfg.Settings() {
		if _, err := fmt.Fprintln(w, line(s)); err != nil {
			return err
		}
	}
	return nil
}

// commented comments out a masked secret, so that the output can be read back
// and lacks what it doesn't show.
func commented(s config.Setting) string {
	if s.Secret && s.Value != "" {
		return "# "
	}
	return ""
}

// plain needs no quotes, neither in YAML nor in a shell.
var plain = regexp.MustCompile(`^[A-Za-z0-9./]([A-Za-z0-9._/,:+-]*[A-Za-z0-9._/+-])?$`)

func quoted(value string, quote func(string) string) string {
	if plain.MatchString(value) && value != "null" {
		return value
	}
	return quote(value)
}

// shellQuote returns a word in single quotes, in which a shell replaces nothing.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// yamlQuote returns a double-quoted YAML scalar, of which JSON's is one.
func yamlQuote(s string) string {
	b, _ := json.Marshal(s) // a string can't fail
	return string(b)
}

func printJSON(w io.Writer, cfg *config.Config) error {
	type setting struct {
		Value string `json:"value"`
		From  string `json:"from"`
	}
	out := map[string]setting{}
	for _, s := range cfg.Settings() {
		out[s.Name] = setting{s.Value, s.Origin}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}
