package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// loadYAML loads a configuration file, in a directory with some files that it may name.
func loadYAML(t testing.TB, yaml string, environ ...string) (*Config, string, error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"keys": signing + "\nwhsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", "token": "Bearer MARKED-0123456789\n", "empty": "\n", "dsn": "postgres://kazoo:MARKED@db/kazoo\n",
		"file.yaml": strings.ReplaceAll(yaml, "DIR", dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := Load(Options{Need: Onward, File: filepath.Join(dir, "file.yaml"), Environ: environ})
	return cfg, dir, err
}

// TestDestinations reads one destination of each type.
func TestDestinations(t *testing.T) {
	t.Parallel()
	const account = "0123456789abcdef0123456789abcdef"
	with := func(name string, change func(*Destination)) Destination {
		d := newDestination(name)
		change(&d)
		return d
	}
	for name, c := range map[string]struct {
		yaml string
		want Destination
	}{
		"as in the documentation": {`
  billing:
    type: http
    url: https://billing.example.com/kazoo
    secret_file: DIR/keys
    events: [user.deleted, account.deleted]
    accounts: [` + account + `]
    where: 'object_type == "user"'
    format: json
    retry: [5s, 30s, 1d]
    concurrency: 2
    rate: 50/s
    order: all
    timeout: 3s
    start: beginning
    unverified: true
    headers: {X-Tenant: a b}
    headers_file:
      Authorization: DIR/token
`, with("billing", func(d *Destination) {
			d.Type, d.URL, d.Secret = "http", NewAddress("https://billing.example.com/kazoo"), NewSecret(signing+"\nwhsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
			d.Events, d.Accounts, d.Where = []string{"user.deleted", "account.deleted"}, []string{account}, `object_type == "user"`
			d.Retry, d.Concurrency, d.Rate = []time.Duration{5 * time.Second, 30 * time.Second, 24 * time.Hour}, 2, 50
			d.Order, d.Timeout, d.Start, d.Unverified = "all", 3*time.Second, Start{Beginning: true}, true
			d.Headers = map[string]Secret{"X-Tenant": NewSecret("a b"), "Authorization": NewSecret("Bearer MARKED-0123456789")}
		})},
		"defaults": {`
  x: {type: http, url: "http://localhost:1", retry: , where: }
`, with("x", func(d *Destination) { d.Type, d.URL = "http", NewAddress("http://localhost:1") })},
		"a template": {`
  x: {type: http, url: "http://localhost:1", body: "{{.event}}", retry: [], start: 2h, rate: 60/m, events: "a,b", order: none}
`, with("x", func(d *Destination) {
			d.Type, d.URL, d.Format, d.Body = "http", NewAddress("http://localhost:1"), formatTemplate, "{{.event}}"
			d.Retry, d.Start, d.Rate, d.Events, d.Order = []time.Duration{}, Start{Back: 2 * time.Hour}, 1, []string{"a", "b"}, "none"
		})},
		"a template under format": {`
  x:
    type: http
    url: http://localhost:1
    format:
      body: |
        {{.event}}
        {{.seq}}
    secret: |
      ` + signing + `
      ` + signing + `
`, with("x", func(d *Destination) {
			d.Type, d.URL, d.Format, d.Body = "http", NewAddress("http://localhost:1"), formatTemplate, "{{.event}}\n{{.seq}}"
			d.Secret = NewSecret(signing + "\n" + signing)
		})},
		"exec": {`
  x: {type: exec, command: [/bin/echo, "a b", "c,d"], format: cloudevents, type_prefix: com.example.}
`, with("x", func(d *Destination) {
			d.Type, d.Command, d.Format, d.TypePrefix = "exec", []string{"/bin/echo", "a b", "c,d"}, "cloudevents", "com.example."
		})},
		"amqp": {`
  x: {type: amqp, url: "amqps://u:p@rabbit/vhost", exchange: kazoo, routing_key: "kazoo.{{.event}}"}
`, with("x", func(d *Destination) {
			d.Type, d.URL, d.Exchange, d.RoutingKey = "amqp", NewAddress("amqps://u:p@rabbit/vhost"), "kazoo", "kazoo.{{.event}}"
		})},
		"nats": {`
  x: {type: nats, url: "nats://one:4222,nats://two:4222", credentials_file: DIR/token, subject: "k.{{.event}}"}
`, with("x", func(d *Destination) {
			d.Type, d.URL, d.Credentials, d.Subject = "nats", NewAddress("nats://one:4222,nats://two:4222"), "DIR/token", "k.{{.event}}"
		})},
		"postgres": {`
  x: {type: postgres, dsn_file: DIR/dsn, table: billing.events}
`, with("x", func(d *Destination) {
			d.Type, d.DSN, d.Table = "postgres", NewSecret("postgres://kazoo:MARKED@db/kazoo"), "billing.events"
		})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, dir, err := loadYAML(t, "destinations:"+c.yaml)
			if err != nil {
				t.Fatal(err)
			}
			c.want.Credentials = strings.ReplaceAll(c.want.Credentials, "DIR", dir)
			if diff := cmp.Diff([]Destination{c.want}, cfg.Destinations, cmpopts.IgnoreUnexported(Destination{}), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if shown := fmt.Sprintf("%v %+v %#v", cfg.Destinations, cfg.Destinations, cfg.Destinations[0].Shown()); strings.Contains(shown, "MARKED") || strings.Contains(shown, "MfKQ9r") || strings.Contains(shown, "u:p@") {
				t.Errorf("a secret is shown: %s", shown)
			}
			if len(cfg.Warnings) != 0 {
				t.Errorf("warnings %q", cfg.Warnings)
			}
		})
	}
}

// TestDestinationRules has a case for each rule, with the exact message.
func TestDestinationRules(t *testing.T) {
	t.Parallel()
	const (
		url   = `type: http, url: "http://h"`
		types = `use http, exec, amqp, nats or postgres`
		key   = `use whsec_ and base64, as from: echo "whsec_$(head -c 32 /dev/urandom | base64)"`
		dur   = `is not a duration; use numbers with units, e.g. 30s, 10m or 6h`
	)
	for name, c := range map[string]struct {
		yaml string // of the destination x, or the whole section
		want []string
	}{
		"no mapping":        {"destinations: [a]", []string{`destinations: takes names and settings, as in "destinations: {billing: {type: http, url: ...}}"`}},
		"no settings":       {"destinations: {x: 5}", []string{`destinations.x: takes settings, as in {type: http, url: ...}`}},
		"nothing":           {"destinations: {x: }", []string{`destinations.x.type: is missing; ` + types}},
		"name":              {"destinations: {Big: {type: http}, \"a b\": {}}", []string{`destinations."a b": is not a valid name of a destination; use 1 to 40 of a-z, 0-9 and -`, `destinations.Big: is not a valid name of a destination; use 1 to 40 of a-z, 0-9 and -`}},
		"type missing":      {`url: "http://h"`, []string{`destinations.x.type: is missing; ` + types}},
		"type unknown":      {`type: smtp, url: "http://h"`, []string{`destinations.x.type: "smtp" is not known; ` + types}},
		"unknown key":       {url + `, urll: a`, []string{`destinations.x.urll: is not a setting of a destination of type http; did you mean url? (accepted are accounts, body, ca_file, cert_file, concurrency, events, format, headers, headers_file, key_file, order, rate, retry, secret, secret_file, start, timeout, type, type_prefix, unverified, url, url_file, where)`}},
		"key of another":    {`type: exec, command: [a], url: "http://h"`, []string{`destinations.x.url: is not a setting of a destination of type exec; accepted are accounts, body, command, concurrency, events, format, order, rate, retry, start, timeout, type, type_prefix, unverified, where`}},
		"url missing":       {`type: http`, []string{`destinations.x.url: is missing`}},
		"url relative":      {`type: http, url: h/x`, []string{`destinations.x.url: "h/x" is not an absolute URL that begins with https:// or http://; use e.g. https://example.com`}},
		"url with password": {`type: http, url: "ftp://u:MARKED@h"`, []string{`destinations.x.url: "ftp://***@h" is not an absolute URL that begins with https:// or http://; use e.g. https://example.com`}},
		"url of amqp":       {`type: amqp, url: "http://h"`, []string{`destinations.x.url: "http://h" is not an absolute URL that begins with amqps:// or amqp://; use e.g. amqps://example.com`}},
		"url and file":      {url + `, url_file: DIR/token`, []string{`destinations.x.url_file: is given together with url; use one of them`}},
		"file missing":      {url + `, secret_file: /nonexistent`, []string{`destinations.x.secret_file: "/nonexistent" can't be read: no such file or directory`}},
		"file empty":        {url + `, secret_file: DIR/empty`, []string{`destinations.x.secret_file: "DIR/empty" is empty; put the value into the file`}},
		"key not known":     {url + `, secret: MARKED`, []string{`destinations.x.secret: "***" is not a signing key; ` + key}},
		"key no base64":     {url + `, secret: "whsec_MARKED!"`, []string{`destinations.x.secret: "***" is not base64 behind whsec_; ` + key}},
		"second key short":  {url + `, secret: [` + signing + `, whsec_MARKED]`, []string{`destinations.x.secret: "***" key 2 is too short; use 16 bytes or more before they are encoded`}},
		"command missing":   {`type: exec`, []string{`destinations.x.command: is missing`}},
		"command a text":    {`type: exec, command: echo x`, []string{`destinations.x.command: "echo x" is one text; use a list, [path, arg, ...]: no shell splits it`}},
		"dsn missing":       {`type: postgres`, []string{`destinations.x.dsn: is missing`}},
		"retry":             {url + `, retry: [5s, 5x, -1s, 1]`, []string{`destinations.x.retry[1]: "5x" ` + dur, `destinations.x.retry[2]: "-1s" is out of range; use more than 0 and at most 720h`, `destinations.x.retry[3]: "1" ` + dur}},
		"retry in a text":   {url + `, retry: "5s,soon"`, []string{`destinations.x.retry: "soon" ` + dur}},
		"nested list":       {url + `, retry: [[5s]]`, []string{`destinations.x.retry[0]: takes a single value`}},
		"concurrency":       {url + `, concurrency: 0`, []string{`destinations.x.concurrency: "0" is out of range; use a whole number from 1 to 256`}},
		"rate":              {url + `, rate: 50`, []string{`destinations.x.rate: "50" is not a rate; use e.g. 50/s, 100/m or 1000/h, or none`}},
		"rate zero":         {url + `, rate: 0/s`, []string{`destinations.x.rate: "0/s" is not a rate; use e.g. 50/s, 100/m or 1000/h, or none`}},
		"order":             {url + `, order: key`, []string{`destinations.x.order: "key" is not known; use object, all or none`}},
		"timeout":           {url + `, timeout: 1h`, []string{`destinations.x.timeout: "1h" is out of range; use more than 0 and at most 10m`}},
		"start":             {url + `, start: yesterday`, []string{`destinations.x.start: "yesterday" is not a place to start; use now, beginning, or how long back, e.g. 2h or 7d`}},
		"unverified":        {url + `, unverified: maybe`, []string{`destinations.x.unverified: "maybe" is neither true nor false; use true or false`}},
		"format":            {url + `, format: xml`, []string{`destinations.x.format: "xml" is not known; use json or cloudevents`}},
		"format and body":   {url + `, format: json, body: x`, []string{`destinations.x.body: is given together with format; use one of them`}},
		"events":            {url + `, events: [user.deleted, "a b"]`, []string{`destinations.x.events[1]: "a b" is not a name of events; use e.g. user.deleted, channel.* or *`}},
		"accounts":          {url + `, accounts: [5f1e]`, []string{`destinations.x.accounts[0]: "5f1e" is not an account id; use its 32 lower-case hexadecimal digits`}},
		"where nested":      {url + `, where: {a: b}`, []string{`destinations.x.where: takes a single value`}},
		"headers no map":    {url + `, headers: [a]`, []string{`destinations.x.headers: takes names and values, {Name: value}`}},
		"headers": {url + `, headers: {"a b": x, Webhook-Id: x, X-A: "1", x-a: "2", X-B: "a\nb"}, headers_file: {X-C: /nonexistent, X-A: DIR/token}`, []string{
			`destinations.x.headers."a b": is not a valid header name`, `destinations.x.headers.Webhook-Id: can't be set: it is made for each request`, `destinations.x.headers.X-B: holds a value that no header can have; use one line of printable characters`,
			`destinations.x.headers.x-a: is given twice`, `destinations.x.headers_file.X-A: is given twice`, `destinations.x.headers_file.X-C: "/nonexistent" can't be read: no such file or directory`,
		}},
		"ca":          {url + `, ca_file: DIR/token`, []string{`destinations.x.ca_file: "DIR/token" holds no certificate; use a file of PEM certificates`}},
		"key alone":   {url + `, key_file: DIR/token`, []string{`destinations.x.cert_file: is missing although key_file is given; give both or none`}},
		"all at once": {`type: http, retry: [x], rate: y, foo: z`, []string{`destinations.x.foo: is not a setting of a destination of type http; accepted are accounts, body, ca_file, cert_file, concurrency, events, format, headers, headers_file, key_file, order, rate, retry, secret, secret_file, start, timeout, type, type_prefix, unverified, url, url_file, where`, `destinations.x.rate: "y" is not a rate; use e.g. 50/s, 100/m or 1000/h, or none`, `destinations.x.retry[0]: "x" ` + dur, `destinations.x.url: is missing`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			yaml := c.yaml
			if !strings.HasPrefix(yaml, "destinations:") {
				yaml = "destinations: {x: {" + yaml + "}}"
			}
			_, dir, err := loadYAML(t, yaml)
			got := messages(t, err)
			slices.Sort(got)
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], dir, "DIR")
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestCompile: problems that compiling finds have their place, and a key that is already
// wrong gets no second problem.
func TestCompile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(file, []byte("destinations:\n  a: {type: exec, command: [x], where: '(', timeout: never}\n  b: {type: exec, command: [x]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	compile := func(d Destination) ([]Problem, []string) {
		if d.Name == "b" {
			return nil, []string{"events[0]: none is known"}
		}
		return []Problem{{Variable: "where", Value: d.Where, Text: "is no expression"}, {Variable: "timeout", Text: "is too short"}, {Variable: "events", Text: "match nothing"}}, nil
	}
	_, err := Load(Options{Need: Onward, File: file, Compile: compile, Environ: []string{"FORWARD_URL=http://h", "FORWARD_EVENTS=x"}})
	want := []string{
		`FORWARD_URL: is no expression`, `FORWARD_URL: is too short`, `FORWARD_EVENTS: match nothing`,
		`destinations.a.timeout: "never" is not a duration; use numbers with units, e.g. 30s, 10m or 6h`, `destinations.a.where: "(" is no expression`, `destinations.a.events: match nothing`,
	}
	if diff := cmp.Diff(want, messages(t, err)); diff != "" {
		t.Error(diff)
	}
	cfg, err := Load(Options{Need: Onward, File: file, Compile: compile, Without: []string{"destinations.a.retry[2]"}})
	if err != nil || len(cfg.Destinations) != 1 || cfg.Destinations[0].Name != "b" || !slices.Contains(cfg.Warnings, "destinations.b.events[0]: none is known") {
		t.Errorf("%v, %v", cfg, err)
	}
	if cfg, err = Load(Options{Need: Journal, File: file, Compile: compile}); err != nil || cfg.Destinations != nil {
		t.Errorf("destinations are read although nobody needs them: %v", err)
	}
}

// TestForward: the variables that make a destination without a file.
func TestForward(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ []string
		yaml    string
		want    []string
	}{
		"secret alone": {[]string{"FORWARD_SECRET=" + signing}, "", []string{"FORWARD_SECRET: has no effect without FORWARD_URL; give the address to deliver to"}},
		"events alone": {[]string{"FORWARD_EVENTS=user.*"}, "", []string{"FORWARD_EVENTS: has no effect without FORWARD_URL; give the address to deliver to"}},
		"not a URL":    {[]string{"FORWARD_URL=billing"}, "", []string{`FORWARD_URL: "billing" is not an absolute URL that begins with http:// or https://; use e.g. http://example.com`}},
		"key":          {[]string{"FORWARD_URL=https://h", "FORWARD_SECRET=x"}, "", []string{`FORWARD_SECRET: "***" is not a signing key; use whsec_ and base64, as from: echo "whsec_$(head -c 32 /dev/urandom | base64)"`}},
		"events":       {[]string{"FORWARD_URL=https://h", "FORWARD_EVENTS=user deleted"}, "", []string{`FORWARD_EVENTS: "user deleted" is not a name of events; use e.g. user.deleted, channel.* or *`}},
		"two":          {[]string{"FORWARD_URL=https://h"}, "destinations: {forward: {type: exec, command: [x]}}", []string{`destinations.forward: is given together with FORWARD_URL, which makes a destination of this name; rename it, or leave FORWARD_URL out`}},
		"backlog":      {[]string{"BACKLOG_MAX=10GiB,1GiB"}, "", []string{`BACKLOG_MAX: "10GiB,1GiB" is not a bound of a backlog; use a size, an age or both, e.g. 10GiB,90d`}},
		"in the file":  {nil, "forward_url: https://h\nforward_events: [a, b]\ndestinations: {x: {type: exec, command: [x]}}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, _, err := loadYAML(t, c.yaml, c.environ...)
			if diff := cmp.Diff(c.want, messages(t, err)); diff != "" {
				t.Error(diff)
			}
			if c.want == nil && (len(cfg.Destinations) != 2 || cfg.Destinations[1].Name != "forward" || len(cfg.Destinations[1].Events) != 2) {
				t.Errorf("%+v", cfg.Destinations)
			}
		})
	}
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("\ufeff"+signing+"\r\n"+signing+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(Options{Need: Onward, Environ: []string{"FORWARD_URL=https://h", "FORWARD_SECRET_FILE=" + keys}})
	if err != nil || len(cfg.Destinations) != 1 || len(cfg.Destinations[0].SigningKeys()) != 2 || len(cfg.Destinations[0].SigningKeys()[1]) != 24 {
		t.Errorf("%v, %v", cfg, err)
	}
}

// TestDestinationSecrets: every secret is returned for masking, and every file is
// watched.
func TestDestinationSecrets(t *testing.T) {
	t.Parallel()
	cfg, dir, err := loadYAML(t, `destinations:
  a: {type: http, url: "https://u:pw%40MARKED@h/services/T000/MARKED0123456789abcdef?x=1&token=MARKED2", secret_file: DIR/keys, headers: {X-Api-Key: MARKED3, X-Tenant: open}, headers_file: {X-Other: DIR/token}}
  b: {type: postgres, dsn: "host=db user=k password='it\\'s MARKED4' sslmode=disable"}
  c: {type: nats, url: "nats://a:MARKED5@one:4222, nats://b:MARKED6@two:4222"}
  d: {type: exec, command: [/bin/x, --api-token=MARKED7, -password, MARKED8, --key-id, open, -v, "https://h/?key=MARKED9", token, open]}
  e: {type: http, url: "https://h/kazoo", headers: {X-Auth-Account-ID: open, X-Key-Id: open, X-Account-Key: MARKED10}}
`)
	if err != nil {
		t.Fatal(err)
	}
	secrets := cfg.Secrets()
	for _, want := range []string{"pw%40MARKED", "pw@MARKED", "MARKED0123456789abcdef", "MARKED2", "MARKED3", "Bearer MARKED-0123456789", "MARKED-0123456789", signing, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "it's MARKED4", "MARKED5", "MARKED6", "MARKED7", "MARKED8", "MARKED9", "MARKED10"} {
		if !slices.Contains(secrets, want) {
			t.Errorf("%q is no secret of %q", want, secrets)
		}
	}
	if slices.Contains(secrets, "open") || slices.Contains(secrets, "1") || slices.Contains(secrets, "services") {
		t.Errorf("more than secrets in %q", secrets)
	}
	if got := cfg.Destinations[0].URL.String(); got != "https://***@h/services/T000/***?x=1&token=***" {
		t.Error(got)
	}
	if got := cfg.Destinations[2].URL.String(); got != "nats://***@one:4222, nats://***@two:4222" {
		t.Error(got)
	}
	if got, _ := maskCommand(cfg.Destinations[3].Command); strings.Join(got, " ") != "/bin/x --api-token=*** -password *** --key-id open -v https://h/?key=*** token open" {
		t.Error(got)
	}
	files := cfg.SecretFiles()
	for _, name := range []string{"file.yaml", "keys", "token"} {
		if !slices.Contains(files, filepath.Join(dir, name)) {
			t.Errorf("%s isn't watched: %q", name, files)
		}
	}
}

// TestSecretPartsOfURLs: a token is masked everywhere. An id or a realm, which events
// contain, is masked in the URL only.
func TestSecretPartsOfURLs(t *testing.T) {
	t.Parallel()
	const id = "c0ffee00aa11bb22cc33dd44ee55ff66"
	for name, c := range map[string]struct {
		url, shown string
		secrets    []string
	}{
		"token with a colon": {"https://h/bot110201543:AAHdqTcvCH1vGW/send", "https://h/***/send", []string{"bot110201543:AAHdqTcvCH1vGW"}},
		"unnamed parameter":  {"https://h/f?code=Az9fK2kd8sLLs02jdk4==&a=1", "https://h/f?code=***&a=1", []string{"Az9fK2kd8sLLs02jdk4=="}},
		"account id":         {"https://h/" + id + "?account=" + id, "https://h/***?account=***", nil},
		"token like an id":   {"https://h/?token=" + id, "https://h/?token=***", []string{id}},
		"short and mixed":    {"https://h/v2/hook2024/s3cr3t99?v=20240101a&w=2024", "https://h/v2/***/***?v=***&w=2024", nil},
		"words":              {"https://h/kazoo/webhooks/users?channel=billing", "https://h/kazoo/webhooks/users?channel=billing", nil},
		"virtual host":       {"amqp://h/%2Fkazoo", "amqp://h/%2Fkazoo", nil},
		"realm":              {"https://h/acme2.sip.example.org/x", "https://h/***/x", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := NewAddress(c.url)
			if got := a.String(); got != c.shown {
				t.Errorf("shown as %s, not %s", got, c.shown)
			}
			if got := a.secrets(); !slices.Equal(got, c.secrets) {
				t.Errorf("secrets %q, not %q", got, c.secrets)
			}
		})
	}
}

// TestURLOfFile: the content of a file that is not a URL is not repeated.
func TestURLOfFile(t *testing.T) {
	t.Parallel()
	_, _, err := loadYAML(t, "destinations:\n  a: {type: http, url_file: DIR/token}\n")
	if err == nil || !strings.Contains(err.Error(), "destinations.a.url") || strings.Contains(err.Error(), "MARKED") {
		t.Error(err)
	}
}

// FuzzDestinations: any section is accepted, or refused with a message that repeats no
// secret and has no control character.
func FuzzDestinations(f *testing.F) {
	for _, s := range []string{
		`{x: {type: http, url: "https://h", secret: MARKED}}`, `{x: {type: http, url: "https://h", headers: {Authorization: MARKED}}}`, "{x: {type: exec, command: [a]}}",
		`{x: {type: postgres, dsn: "password=MARKED"}}`, `{"\x1b": {type: 5}}`, `{x: {type: http, url: "https://u:MARKED@h", retry: [[]], "\x1b[2J": 1}}`, "*a", "&a {x: *a}", "{x: &a {type: exec, command: !!set {a}}}", "{? {} : 1}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, section string) {
		_, node, bad := parseFile([]byte("destinations: " + section))
		if bad != nil || node == nil || strings.Contains(section, "_file") {
			return
		}
		r := destinationReader{}
		r.read(node)
		for _, p := range r.problems {
			if p.Text == "" || strings.ContainsAny(p.Error(), "\n\r\x1b") {
				t.Fatalf("problem %q", p.Error())
			}
		}
		for _, d := range r.list {
			d.secrets()
			d.Shown()
			_ = d.URL.String()
		}
	})
}
