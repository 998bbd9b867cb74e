package config

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/idna"
)

// Variable describes one setting, for flags and documentation.
type Variable struct {
	Name    string // environment variable, e.g. KAZOO_API_URL
	Group   Group
	Secret  bool   // has a NAME_FILE form, and no flag of its own
	Bool    bool   // its flag needs no value
	Default string // markdown: a literal in backquotes, or words
	Meaning string // markdown
	Reason  string // for the default, markdown

	accept string // accepted numbers, in words
	lines  bool   // a secret of several lines
	index  int    // of the field in Config
}

// Key returns the YAML key.
func (v Variable) Key() string { return strings.ToLower(v.Name) }

// Flag returns the flag's name without dashes. The flag of a secret names a file,
// because the list of processes would show the value.
func (v Variable) Flag() string {
	n := strings.ReplaceAll(v.Key(), "_", "-")
	if v.Secret {
		n += "-file"
	}
	return n
}

// Literal returns the default if it is a value, or "" if it is only described.
func (v Variable) Literal() string {
	if value, ok := strings.CutPrefix(v.Default, "`"); ok && strings.HasSuffix(value, "`") {
		return strings.TrimSuffix(value, "`")
	}
	return ""
}

// FileName returns the name of the variable that names a file to read a
// secret's value from.
func (v Variable) FileName() string { return v.Name + fileSuffix }

const fileSuffix = "_FILE"

// Variables returns the settings in the order of the documentation.
func Variables() []Variable {
	t := reflect.TypeFor[Config]()
	docs := fieldDocs()
	var out []Variable
	for i := range t.NumField() {
		f := t.Field(i)
		n := f.Tag.Get("env")
		if n == "" {
			continue
		}
		d := docs[n]
		out = append(out, Variable{
			Name:    n,
			Group:   groupByTag(f.Tag.Get("group")),
			Secret:  f.Type == reflect.TypeFor[Secret](),
			Bool:    f.Type.Kind() == reflect.Bool && f.Type == reflect.TypeFor[bool](),
			Default: d.def,
			Meaning: d.meaning,
			Reason:  d.reason,
			accept:  f.Tag.Get("accept"),
			lines:   f.Tag.Get("lines") != "",
			index:   i,
		})
	}
	return out
}

// fieldDoc is the parsed comment of a field; reference_gen.go holds them.
type fieldDoc struct{ meaning, def, reason string }

// set parses text into the variable's field.
func (v Variable) set(c *Config, text string) error {
	switch p := c.field(v).Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		return p.UnmarshalText([]byte(text))
	case **url.URL:
		return setURL(p, text)
	case *[]netip.Prefix:
		return setPrefixes(p, text)
	case *time.Duration:
		d, err := parseDuration(text)
		if err != nil {
			return err
		}
		*p = d
	case *bool:
		b, err := parseBool(text)
		if err != nil {
			return err
		}
		*p = b
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("is not a whole number; use " + v.accept)
		}
		*p = n
	case *float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return errors.New("is not a number; use " + v.accept)
		}
		*p = f
	case *string:
		*p = text
	default:
		return fmt.Errorf("has no parser for %T", p)
	}
	return nil
}

// format returns the value of the variable's field as set would take it;
// secrets are masked.
func (v Variable) format(c *Config) string {
	switch f := c.field(v).Interface().(type) {
	case *url.URL:
		if f == nil {
			return ""
		}
		return f.Redacted()
	case []netip.Prefix:
		s := make([]string, len(f))
		for i, p := range f {
			s[i] = p.String()
		}
		return strings.Join(s, ",")
	case time.Duration:
		return formatDuration(f)
	case float64:
		return strconv.FormatFloat(f, 'g', -1, 64)
	default:
		return fmt.Sprint(f)
	}
}

// parseDuration takes Go's durations, and days before them: 30s, 6h, 30d, 1d12h.
// formatDuration omits the zero units that time.Duration prints.
func parseDuration(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	bad := errors.New("is not a duration; use numbers with units, e.g. 30s, 10m or 6h")
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		days, rest = "0", text
	} else if rest == "" {
		rest = "0s"
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, bad
	}
	d, err := time.ParseDuration(rest)
	if err != nil || n > 0 && d < 0 {
		return 0, bad
	}
	return time.Duration(n)*day + d, nil
}

func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// setURL accepts a URL that a path can be added to: absolute, http or https,
// without user, query and fragment. The errors of net/url repeat their input, which
// may hold a password, so they are not passed on.
func setURL(target **url.URL, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("is not a URL; use e.g. https://example.com:8443")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.Hostname() == "":
		return errors.New("is not an absolute http or https URL; use e.g. https://example.com:8443")
	case u.User != nil:
		return errors.New("holds a user name or password; leave them out of the URL")
	case strings.ContainsAny(text, "?#"):
		return errors.New("holds a ? or #; use a URL that a path can be added to, e.g. https://example.com/base")
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("has no valid port; use 1 to 65535")
		}
	}
	if strings.IndexFunc(u.Hostname(), func(r rune) bool { return r > unicode.MaxASCII }) >= 0 {
		// DNS and Kazoo need ASCII: bücher.example is xn--bcher-kva.example.
		host, err := idna.Lookup.ToASCII(u.Hostname())
		if err != nil {
			return errors.New("holds a host name that is not possible in DNS; write it in ASCII (xn--...)")
		}
		u.Host = strings.Replace(u.Host, u.Hostname(), host, 1)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	if u.Path != "" && path.Clean(u.Path) != u.Path {
		return errors.New("holds // or a segment . or .. in its path, which proxies rewrite; leave it out")
	}
	*target = u
	return nil
}

func setPrefixes(target *[]netip.Prefix, text string) error {
	out := []netip.Prefix{}
	var problems []error
	for entry := range strings.SplitSeq(text, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		p, err := netip.ParsePrefix(entry)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(entry); err == nil && a.Zone() == "" {
				p = netip.PrefixFrom(a, a.BitLen())
			}
		}
		switch {
		case err != nil || !p.IsValid():
			problems = append(problems, valueError{entry, "is not a network; use CIDR or single addresses, e.g. 10.0.0.0/8,192.0.2.7"})
		case p != p.Masked():
			problems = append(problems, valueError{entry, fmt.Sprintf("has bits beyond its length; use %s for the network or %s for the address", p.Masked(), p.Addr())})
		default:
			out = append(out, p)
		}
	}
	if problems != nil {
		return errors.Join(problems...)
	}
	*target = out
	return nil
}
