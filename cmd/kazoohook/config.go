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
	Check  string `placeholder:"FILE" help:"Only check the settings of this YAML file, with those of the environment and of flags; exit code 2 if something is wrong."`
	settings
}

// Run prints the settings, or fails with all their problems.
func (c *configCmd) Run(_ context.Context, e *env) error {
	if c.Check != "" {
		e.file = c.Check
	}
	cfg, err := e.load(c.settings)
	if err != nil {
		return err
	}
	if err := e.warn(cfg); err != nil {
		return err
	}
	if c.Check != "" {
		_, err := fmt.Fprintf(e.stdout, "%s: no problem found\n", printable(c.Check))
		return err
	}
	switch c.Format {
	case "json":
		return printJSON(e.jsonOut(), cfg)
	case "env":
		if err := printSettings(e.stdout, cfg, func(s config.Setting) string {
			return "# " + s.Origin + "\n" + commented(s) + s.Name + "=" + quoted(s.Value, shellQuote)
		}); err != nil {
			return err
		}
		return destinationNames(e.stdout, cfg)
	}
	if err := printSettings(e.stdout, cfg, func(s config.Setting) string {
		return commented(s) + s.Key() + ": " + quoted(s.Value, yamlQuote) + " # " + s.Origin
	}); err != nil {
		return err
	}
	return printDestinations(e.stdout, cfg)
}

// printDestinations prints the section of the YAML file, without the destination
// from FORWARD_URL, which would be there twice when the output is read back.
func printDestinations(w io.Writer, cfg *config.Config) error {
	var b strings.Builder
	for _, d := range cfg.Destinations {
		if d.Forward() {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("destinations:\n")
		}
		fmt.Fprintf(&b, "  %s:\n", d.Name)
		for _, s := range d.Shown() {
			mark := "    "
			if s.Secret {
				mark += "# "
			}
			value, _ := json.Marshal(s.Value) // texts, lists and maps of them can't fail
			if text, ok := s.Value.(string); ok {
				value = []byte(quoted(text, yamlQuote))
			}
			fmt.Fprintf(&b, "%s%s: %s\n", mark, s.Key, jsonVisible(value))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// destinationNames lists the destinations of the file, which variables can't hold.
func destinationNames(w io.Writer, cfg *config.Config) error {
	var names []string
	for _, d := range cfg.Destinations {
		if !d.Forward() {
			names = append(names, d.Name)
		}
	}
	if names == nil {
		return nil
	}
	_, err := fmt.Fprintf(w, "# destinations of the file: %s\n", strings.Join(names, ", "))
	return err
}

// warn prints warnings about the settings.
func (e *env) warn(cfg *config.Config) error {
	for _, w := range cfg.Warnings {
		if _, err := fmt.Fprintf(e.stderr, "kazoohook: warning: %s\n", w); err != nil {
			return err
		}
	}
	return nil
}

// printSettings prints each setting with line.
func printSettings(w io.Writer, cfg *config.Config, line func(config.Setting) string) error {
	for _, s := range cfg.Settings() {
		if _, err := fmt.Fprintln(w, line(s)); err != nil {
			return err
		}
	}
	return nil
}

// commented comments out a masked secret, so that the output can be read back
// without it.
func commented(s config.Setting) string {
	if s.Secret && s.Value != "" {
		return "# "
	}
	return ""
}

// plain matches values that need no quotes in YAML and in a shell.
var plain = regexp.MustCompile(`^[A-Za-z0-9./]([A-Za-z0-9._/,:+-]*[A-Za-z0-9._/+-])?$`)

func quoted(value string, quote func(string) string) string {
	if plain.MatchString(value) && value != "null" {
		return value
	}
	return quote(value)
}

// shellQuote returns a word in single quotes, in which a shell replaces nothing.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// yamlQuote returns a double-quoted YAML scalar. A JSON string is one.
func yamlQuote(s string) string {
	b, _ := json.Marshal(s) // a string can't fail
	return string(jsonVisible(b))
}

func printJSON(w io.Writer, cfg *config.Config) error {
	type setting struct {
		Value string `json:"value"`
		From  string `json:"from"`
	}
	out := map[string]any{}
	for _, s := range cfg.Settings() {
		out[s.Name] = setting{s.Value, s.Origin}
	}
	destinations := map[string]map[string]any{}
	for _, d := range cfg.Destinations {
		one := map[string]any{}
		for _, s := range d.Shown() {
			one[s.Key] = s.Value
		}
		destinations[d.Name] = one
	}
	out["destinations"] = destinations
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}
