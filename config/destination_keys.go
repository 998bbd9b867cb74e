package config

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// destinationKey describes how a key of a destination is read, shown and
// documented.
type destinationKey struct {
	name    string
	types   []string // of destinations that have it; nil: all
	secret  bool
	file    bool // NAME_file names a file that holds the value
	def     string
	meaning string
	read    func(*Destination, given)
	show    func(Destination) any // returns nil if it isn't shown
}

// destinationTypes are the types, in the order of the documentation.
func destinationTypes() []string { return []string{"http", "exec", "amqp", "nats", "postgres"} }

// destinationKeys are the keys, in the order of the documentation.
func destinationKeys() []destinationKey {
	return slices.Concat(commonKeys(), addressKeys(), typeKeys())
}

// commonKeys are the keys of every destination.
func commonKeys() []destinationKey {
	return []destinationKey{
		{name: "type", def: "required", meaning: "`http`, `exec`, `amqp`, `nats` or `postgres`.",
			read: func(d *Destination, g given) { g.oneOf(&d.Type, destinationTypes()...) },
			show: func(d Destination) any { return d.Type }},
		{name: "events", def: "all but `kazoohook.*`", meaning: "Names of events, with `*` and `?` as wildcards: `user.deleted`, `channel.*`. `*` does not include `kazoohook.*`.",
			read: func(d *Destination, g given) { d.Events = g.words(checkPattern) },
			show: func(d Destination) any { return some(d.Events) }},
		{name: "accounts", def: "all", meaning: "Ids of accounts. Each includes its descendants.",
			read: func(d *Destination, g given) { d.Accounts = g.words(checkAccount) },
			show: func(d Destination) any { return some(d.Accounts) }},
		{name: "where", def: "none", meaning: "Condition over the event's JSON, in the language of [expr](https://expr-lang.org/docs/language-definition), e.g. `object_type == \"user\"`.",
			read: func(d *Destination, g given) { g.text(&d.Where) },
			show: func(d Destination) any { return orNone(d.Where) }},
		{name: "unverified", def: "`false`", meaning: "Also events whose Kazoo signature is wrong.",
			read: func(d *Destination, g given) { g.boolean(&d.Unverified) },
			show: func(d Destination) any { return strconv.FormatBool(d.Unverified) }},
		{name: "format", def: "`json`", meaning: "`json`, the event as in its line, or `cloudevents`. `body` stands in its place.",
			read: func(d *Destination, g given) { g.oneOf(&d.Format, "json", "cloudevents") },
			show: func(d Destination) any {
				if d.Format == formatTemplate {
					return nil
				}
				return d.Format
			}},
		{name: "body", def: "none", meaning: "Go template of the body, in place of `format`.",
			read: func(d *Destination, g given) {
				if g.text(&d.Body); d.Body != "" {
					d.Format = formatTemplate
				}
			},
			show: func(d Destination) any { return orNone(d.Body) }},
		{name: "type_prefix", def: "`kazoohook.`", meaning: "Prefix of the event's name in the type of a CloudEvent.",
			read: func(d *Destination, g given) { g.text(&d.TypePrefix) },
			show: func(d Destination) any {
				if d.Format != "cloudevents" {
					return nil
				}
				return d.TypePrefix
			}},
		{name: "retry", def: "`[5s, 30s, 2m, 10m, 30m, 1h, 3h, 6h, 12h, 24h, 24h]`", meaning: "Waits after failed attempts; after the last one the event becomes a dead letter.",
			read: func(d *Destination, g given) { d.Retry = g.durations() },
			show: func(d Destination) any { return durations(d.Retry) }},
		{name: "concurrency", def: "`8`", meaning: "Most attempts at once, 1 to 256.",
			read: func(d *Destination, g given) { g.number(&d.Concurrency, 1, 256) },
			show: func(d Destination) any { return strconv.Itoa(d.Concurrency) }},
		{name: "rate", def: "`none`", meaning: "Most attempts in a time, redelivered events included: `50/s`, `100/m`, `1000/h`.",
			read: func(d *Destination, g given) { g.value(&d.Rate) },
			show: func(d Destination) any { return d.Rate.String() }},
		{name: "order", def: "`object`", meaning: "`object`: events of one object, call or message one after the other; `all`: every event after the one before; `none`.",
			read: func(d *Destination, g given) { g.oneOf(&d.Order, "object", "all", "none") },
			show: func(d Destination) any { return d.Order }},
		{name: "timeout", def: "`15s`", meaning: "Time for one attempt, at most `10m`.",
			read: func(d *Destination, g given) { g.duration(&d.Timeout, 10*time.Minute) },
			show: func(d Destination) any { return formatDuration(d.Timeout) }},
		{name: "start", def: "`now`", meaning: "Where to begin when the name is first seen: `now`, `beginning`, or how long back, e.g. `7d`.",
			read: func(d *Destination, g given) { g.value(&d.Start) },
			show: func(d Destination) any { return d.Start.String() }},
	}
}

// addressKeys are the keys for addresses and logins.
func addressKeys() []destinationKey {
	return []destinationKey{
		{name: "url", types: []string{"http", "amqp", "nats"}, file: true, def: "required", meaning: "Address: `https://...`, `amqps://host/vhost`, `nats://host:4222` or `tls://...`.",
			read: func(d *Destination, g given) {
				var text string
				if g.text(&text); text != "" {
					d.URL = NewAddress(text)
				}
			},
			show: func(d Destination) any { return orNone(d.URL.String()) }},
		{name: "secret", types: []string{"http"}, secret: true, file: true, def: "none", meaning: "Keys that sign requests, as `whsec_...`, one a line: all sign, the first is the newest.",
			read: func(d *Destination, g given) {
				text := strings.Join(g.words(nil), "\n")
				if _, err := signingKeys(text); err != nil && !g.failed() {
					g.fail(masked, "%s", err)
					return
				}
				d.Secret = NewSecret(text)
			},
			show: func(d Destination) any { return orNone(d.Secret.String()) }},
		{name: "headers", types: []string{"http"}, file: true, def: "none", meaning: "Headers of each request, `{Name: value}`; those of `headers_file` are `{Name: path}`, their values are read from the files.",
			read: func(d *Destination, g given) { g.headers(d) },
			show: shownHeaders},
		{name: "ca_file", types: []string{"http"}, def: "the system's", meaning: "File of PEM certificates to verify the server's certificate with.",
			read: func(d *Destination, g given) { g.certificates(&d.CA) },
			show: func(d Destination) any { return orNone(d.files["ca_file"]) }},
		{name: "cert_file", types: []string{"http"}, def: "none", meaning: "File of a client certificate, PEM; with `key_file`.",
			read: func(d *Destination, g given) { g.certificates(&d.Cert) },
			show: func(d Destination) any { return orNone(d.files["cert_file"]) }},
		{name: "key_file", types: []string{"http"}, def: "none", meaning: "File of its private key, PEM.",
			read: func(d *Destination, g given) {
				var pem string
				g.content(&pem, maxFile)
				d.Key = NewSecret(pem)
			},
			show: func(d Destination) any { return orNone(d.files["key_file"]) }},
	}
}

// typeKeys are the keys that only one type has.
func typeKeys() []destinationKey {
	return []destinationKey{
		{name: "command", types: []string{"exec"}, def: "required", meaning: "`[path, arg, ...]`: the program that is run for each event.",
			read: func(d *Destination, g given) { d.Command = g.command() },
			show: func(d Destination) any { shown, _ := maskCommand(d.Command); return some(shown) }},
		{name: "exchange", types: []string{"amqp"}, def: "the default exchange", meaning: "Exchange to publish to; it must exist.",
			read: func(d *Destination, g given) { g.text(&d.Exchange) },
			show: func(d Destination) any { return orNone(d.Exchange) }},
		{name: "routing_key", types: []string{"amqp"}, def: "`{{.event}}`", meaning: "Go template of the routing key.",
			read: func(d *Destination, g given) { g.text(&d.RoutingKey) },
			show: func(d Destination) any { return d.RoutingKey }},
		{name: "credentials_file", types: []string{"nats"}, def: "none", meaning: "File of NATS credentials.",
			read: func(d *Destination, g given) {
				var unused string
				g.content(&unused, maxFile)
				d.Credentials = d.files["credentials_file"]
			},
			show: func(d Destination) any { return orNone(d.Credentials) }},
		{name: "subject", types: []string{"nats"}, def: "`kazoo.{{.event}}`", meaning: "Go template of the subject.",
			read: func(d *Destination, g given) { g.text(&d.Subject) },
			show: func(d Destination) any { return d.Subject }},
		{name: "dsn", types: []string{"postgres"}, secret: true, file: true, def: "required", meaning: "Database: `postgres://host/database` or `host=... user=...`.",
			read: func(d *Destination, g given) {
				var text string
				g.text(&text)
				d.DSN = NewSecret(text)
			},
			show: func(d Destination) any { return orNone(d.DSN.String()) }},
		{name: "table", types: []string{"postgres"}, def: "`kazoo_events`", meaning: "Table of the events, with or without its schema; it is created.",
			read: func(d *Destination, g given) { g.text(&d.Table) },
			show: func(d Destination) any { return d.Table }},
	}
}

const formatTemplate = "template"

// of reports whether destinations of a type have the key.
func (k destinationKey) of(kind string) bool { return k.types == nil || slices.Contains(k.types, kind) }

// orNone returns a text, or nil if it is empty.
func orNone(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func some(list []string) any {
	if len(list) == 0 {
		return nil
	}
	return list
}

func durations(list []time.Duration) []string {
	out := make([]string, len(list))
	for i, d := range list {
		out[i] = formatDuration(d)
	}
	return out
}

func shownHeaders(d Destination) any {
	out := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		switch {
		case d.files["headers_file."+name] != "":
		case secretName(name):
			out[name] = masked
		default:
			out[name] = d.Headers[name].Reveal()
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// dsnPassword matches the password in a DSN of words. In a URL the password is
// where an Address has it.
var dsnPassword = regexp.MustCompile(`(?i)\b(?:password|sslpassword)\s*=\s*('(?:[^'\\]|\\.)*'|\S+)`)

// dsnSecrets returns the passwords in the address of a database.
func dsnSecrets(dsn string) []string {
	list := NewAddress(dsn).secrets()
	for _, m := range dsnPassword.FindAllStringSubmatch(dsn, -1) {
		quoted := strings.Trim(m[1], "'")
		list = append(list, quoted, strings.NewReplacer(`\\`, `\`, `\'`, `'`).Replace(quoted))
	}
	return list
}

// maskCommand returns a command with its secrets masked, and the secrets: values of
// flags with a secret's name (--token=x, --token x, -token x), and the secret parts
// of URLs.
func maskCommand(args []string) (shown, secrets []string) {
	follows := false // the word before is a flag with a secret's name
	for i, arg := range args {
		flag, value, given := strings.Cut(arg, "=")
		named := i > 0 && strings.HasPrefix(flag, "-") && secretName(flag)
		switch {
		case follows && !strings.HasPrefix(arg, "-"):
			shown, secrets = append(shown, masked), append(secrets, arg)
		case named && given:
			shown, secrets = append(shown, flag+"="+masked), append(secrets, value)
		case strings.Contains(arg, "://"):
			a := NewAddress(arg)
			shown, secrets = append(shown, a.String()), append(secrets, a.secrets()...)
		default:
			shown = append(shown, arg)
		}
		follows = named && !given
	}
	return shown, secrets
}
