package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Destination is one entry of `destinations:`, or the one from FORWARD_URL. Its
// form is checked; Options.Compile checks its patterns, expressions and templates.
// Files that it names have been read.
type Destination struct {
	Name string // 1 to 40 of a-z, 0-9 and "-"
	Type string // http, exec, amqp, nats, postgres

	Events     []string
	Accounts   []string
	Where      string
	Unverified bool

	Format     string // json, cloudevents, template
	Body       string // of a template
	TypePrefix string

	Retry       []time.Duration
	Concurrency int
	Rate        Rate
	Order       string // object, all, none
	Timeout     time.Duration
	Start       Start

	URL         Address           // http, amqp, nats
	Secret      Secret            // http: signing keys, separated by white space
	Headers     map[string]Secret // http
	CA, Cert    string            // http: PEM
	Key         Secret            // http: PEM
	Command     []string          // exec
	Exchange    string            // amqp
	RoutingKey  string            // amqp
	Subject     string            // nats
	Credentials string            // nats: path of a file
	DSN         Secret            // postgres
	Table       string            // postgres

	files map[string]string // paths given for keys, by the key's name with _file
}

// forwardName is the destination that FORWARD_URL makes.
const forwardName = "forward"

// newDestination returns a destination with the defaults.
func newDestination(name string) Destination {
	return Destination{
		Name: name, Format: "json", TypePrefix: "kazoohook.", Order: "object", Timeout: 15 * time.Second, Concurrency: 8,
		Retry: []time.Duration{
			5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
			time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 24 * time.Hour,
		},
		RoutingKey: "{{.event}}", Subject: "kazoo.{{.event}}", Table: "kazoo_events",
	}
}

// SigningKeys returns the bytes that sign requests, the newest key first.
func (d Destination) SigningKeys() [][]byte {
	keys, _ := signingKeys(d.Secret.Reveal()) // checked when it was read
	return keys
}

// minSigningKey is the shortest key that can't be guessed, in bytes.
const minSigningKey = 16

// signingKeys decodes keys as Standard Webhooks writes them: whsec_ and base64.
func signingKeys(text string) (keys [][]byte, err error) {
	const use = `use whsec_ and base64, as from: echo "whsec_$(head -c 32 /dev/urandom | base64)"`
	words := strings.Fields(text)
	for i, word := range words {
		which := ""
		if len(words) > 1 {
			which = fmt.Sprintf("key %d ", i+1)
		}
		digits, ok := strings.CutPrefix(word, "whsec_")
		key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(digits, "="))
		switch {
		case !ok:
			return nil, errors.New(which + "is not a signing key; " + use)
		case err != nil:
			return nil, errors.New(which + "is not base64 behind whsec_; " + use)
		case len(key) < minSigningKey:
			return nil, fmt.Errorf("%sis too short; use %d bytes or more before they are encoded", which, minSigningKey)
		}
		keys = append(keys, key)
	}
	if keys == nil {
		return nil, errors.New("holds no signing key; " + use)
	}
	return keys, nil
}

// secrets returns every value of the destination that must be masked in what is
// printed.
func (d Destination) secrets() []string {
	out := append(d.URL.secrets(), dsnSecrets(d.DSN.Reveal())...)
	for _, word := range strings.Fields(d.Secret.Reveal()) {
		digits := strings.TrimPrefix(word, "whsec_")
		out = append(out, word, digits, strings.TrimRight(digits, "="))
	}
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		if d.files["headers_file."+name] != "" || secretName(name) {
			value := d.Headers[name].Reveal()
			out = append(out, value)
			if _, token, ok := strings.Cut(value, " "); ok { // Bearer, Basic
				out = append(out, token)
			}
		}
	}
	_, inCommand := maskCommand(d.Command)
	out = append(out, inCommand...)
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// thingName matches names of values that aren't secret, though the name sounds so:
// X-Auth-Account-ID.
var thingName = regexp.MustCompile(`(?i)(?:^|[-_])(?:id|account)$`)

// secretName reports whether a header or parameter is usually a secret.
func secretName(name string) bool {
	if thingName.MatchString(name) {
		return false
	}
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"auth", "cookie", "key", "pass", "pwd", "secret", "sig", "token"}, func(part string) bool {
		return strings.Contains(name, part)
	})
}

// Start is the position at which a destination begins when its name is first seen;
// the zero value is now.
type Start struct {
	Beginning bool          // the oldest event kept
	Back      time.Duration // before now
}

// String returns the text that the file takes.
func (s Start) String() string {
	switch {
	case s.Beginning:
		return "beginning"
	case s.Back > 0:
		return formatDuration(s.Back)
	}
	return "now"
}

// UnmarshalText accepts now, beginning and a duration.
func (s *Start) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "now":
		*s = Start{}
		return nil
	case "beginning":
		*s = Start{Beginning: true}
		return nil
	}
	d, err := parseDuration(string(text))
	if err != nil || d <= 0 {
		return errors.New("is not a place to start; use now, beginning, or how long back, e.g. 2h or 7d")
	}
	*s = Start{Back: d}
	return nil
}

// Rate is a number of attempts a second; 0 for no limit.
type Rate float64

// String returns the text that the file takes.
func (r Rate) String() string {
	if r == 0 {
		return "none"
	}
	return strconv.FormatFloat(float64(r), 'g', -1, 64) + "/s"
}

// UnmarshalText accepts 50/s, 100/m, 1000/h and none.
func (r *Rate) UnmarshalText(text []byte) error {
	if strings.EqualFold(string(text), "none") {
		*r = 0
		return nil
	}
	number, unit, ok := strings.Cut(string(text), "/")
	seconds := map[string]float64{"s": 1, "m": 60, "h": 3600}[strings.TrimSpace(unit)]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !ok || err != nil || seconds == 0 || !(n > 0) || math.IsInf(n, 0) || n > 1e6 {
		return errors.New("is not a rate; use e.g. 50/s, 100/m or 1000/h, or none")
	}
	*r = Rate(n / seconds)
	return nil
}

// Patterns are names of events, with wildcards.
type Patterns []string

// String joins them with commas.
func (p Patterns) String() string { return strings.Join(p, ",") }

// UnmarshalText accepts names separated by commas.
func (p *Patterns) UnmarshalText(text []byte) error {
	list := []string{}
	var problems []error
	for name := range strings.SplitSeq(string(text), ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if err := checkPattern(name); err != nil {
			problems = append(problems, valueError{name, err.Error()})
		}
		list = append(list, name)
	}
	*p = list
	return errors.Join(problems...)
}

// checkPattern refuses a pattern that no event's name can match.
func checkPattern(name string) error {
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"'\,:/`, r) }) {
		return errors.New("is not a name of events; use e.g. user.deleted, channel.* or *")
	}
	return nil
}

// DestinationSetting is one effective setting of a destination, for display.
type DestinationSetting struct {
	Key    string // as in the file; url_file if the value was read from a file
	Value  any    // string, []string or map[string]string; secrets are masked
	Secret bool   // it is masked
}

// Shown lists the effective settings, in the order of the documentation. What
// was read from a file is shown as its path.
func (d Destination) Shown() (list []DestinationSetting) {
	for _, k := range destinationKeys() {
		if !k.of(d.Type) {
			continue
		}
		if path := d.files[k.name+"_file"]; path != "" && k.file {
			list = append(list, DestinationSetting{Key: k.name + "_file", Value: path})
			continue
		}
		if v := k.show(d); v != nil {
			list = append(list, DestinationSetting{Key: k.name, Value: v, Secret: k.secret || strings.Contains(fmt.Sprint(v), masked)})
		}
		if k.name == "headers" {
			paths := map[string]string{}
			for key, path := range d.files {
				if name, ok := strings.CutPrefix(key, "headers_file."); ok {
					paths[name] = path
				}
			}
			if len(paths) > 0 {
				list = append(list, DestinationSetting{Key: "headers_file", Value: paths})
			}
		}
	}
	return list
}
