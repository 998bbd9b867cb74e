package delivery

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSettingsAreComplete: few settings are required.
func TestSettingsAreComplete(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Settings{
		"http":        {Type: TypeHTTP, HTTP: &HTTPSettings{URL: "https://billing.example.com/kazoo"}},
		"exec":        {Type: TypeExec, Exec: &ExecSettings{Command: []string{"/bin/true"}}},
		"amqp":        {Type: TypeAMQP, AMQP: &AMQPSettings{URL: "amqp://localhost"}},
		"nats":        {Type: TypeNATS, NATS: &NATSSettings{URL: "nats://localhost"}},
		"postgres":    {Type: TypePostgres, Postgres: &PostgresSettings{DSN: "postgres://localhost"}},
		"cloudevents": {Type: TypeHTTP, Format: FormatCloudEvents, HTTP: &HTTPSettings{URL: "https://billing.example.com/kazoo"}},
		"template":    {Type: TypeHTTP, Body: "{{json .}}", HTTP: &HTTPSettings{URL: "https://billing.example.com/kazoo"}},
		"where":       {Type: TypeHTTP, Where: `object_type == "user"`, HTTP: &HTTPSettings{URL: "https://billing.example.com/kazoo"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.Name = "billing"
			d, problems := Compile(s)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if d.Concurrency != 8 || len(d.Retry) != 11 || d.Order != OrderObject || d.Timeout != 15*time.Second || len(d.Warnings) > 0 {
				t.Errorf("got %+v", d)
			}
		})
	}
}

// TestNoRetries: an empty schedule stays empty.
func TestNoRetries(t *testing.T) {
	t.Parallel()
	if d := compiled(t, Settings{Retry: []time.Duration{}}); len(d.Retry) != 0 {
		t.Errorf("waits %v", d.Retry)
	}
}

const secretToken = "s3cr3t-t0ken"

// TestProblems checks each rule, with its exact message.
func TestProblems(t *testing.T) {
	t.Parallel()
	url := func(u string) func(*Settings) { return func(s *Settings) { s.HTTP.URL = u } }
	header := func(name, value string) func(*Settings) {
		return func(s *Settings) { s.HTTP.Headers = map[string]string{name: value} }
	}
	for name, test := range map[string]struct {
		change func(*Settings)
		want   string // place: message
	}{
		"no name":       {func(s *Settings) { s.Name = "" }, `: the name "" is not 1 to 40 of a-z, 0-9 and -`},
		"long name":     {func(s *Settings) { s.Name = strings.Repeat("a", 41) }, `: the name "` + strings.Repeat("a", 41) + `" is not 1 to 40 of a-z, 0-9 and -`},
		"upper case":    {func(s *Settings) { s.Name = "Billing" }, `: the name "Billing" is not 1 to 40 of a-z, 0-9 and -`},
		"line feed":     {func(s *Settings) { s.Name = "a\n" }, `: the name "a\n" is not 1 to 40 of a-z, 0-9 and -`},
		"no type":       {func(s *Settings) { s.Type, s.HTTP = "", nil }, `type: it is missing: one of http, exec, amqp, nats, postgres`},
		"other type":    {func(s *Settings) { s.Type = "kafka" }, `type: "kafka" is none of http, exec, amqp, nats, postgres`},
		"no settings":   {func(s *Settings) { s.HTTP = nil }, `type: the settings of http are missing`},
		"two types":     {func(s *Settings) { s.Exec = &ExecSettings{Command: []string{"x"}} }, `type: settings of exec don't belong to a destination of type http`},
		"empty pattern": {func(s *Settings) { s.Events = []string{"*", ""} }, `events[1]: it is empty: an event's name, with * and ? as wildcards, as user.deleted or channel.*`},
		"bad pattern": {func(s *Settings) { s.Events = []string{"User.deleted"} },
			`events[0]: "User.deleted" is not a pattern of event names: they consist of a-z, 0-9, _ and ., with * and ? as wildcards`},
		"account pattern":  {func(s *Settings) { s.Accounts = []string{"5f1e", "5*"} }, `accounts[1]: "5*" is not an account id: those are letters and digits, without wildcards`},
		"negative wait":    {func(s *Settings) { s.Retry = []time.Duration{time.Second, time.Second, -time.Second} }, `retry[2]: -1s is not between 0s and 30d`},
		"long wait":        {func(s *Settings) { s.Retry = []time.Duration{maxRetryWait + 1} }, `retry[0]: 720h0m0.000000001s is not between 0s and 30d`},
		"many waits":       {func(s *Settings) { s.Retry = make([]time.Duration, 101) }, `retry: 101 waits are more than 100`},
		"concurrency":      {func(s *Settings) { s.Concurrency = -1 }, `concurrency: -1 is not between 1 and 1024`},
		"concurrency much": {func(s *Settings) { s.Concurrency = 1025 }, `concurrency: 1025 is not between 1 and 1024`},
		"rate":             {func(s *Settings) { s.Rate = -0.5 }, `rate: -0.5 a second is not between 0 and 1000000`},
		"rate not there":   {func(s *Settings) { s.Rate = math.NaN() }, `rate: NaN a second is not between 0 and 1000000`},
		"order":            {func(s *Settings) { s.Order = "key" }, `order: "key" is none of object, all, none`},
		"timeout":          {func(s *Settings) { s.Timeout = -1 }, `timeout: -1ns is not more than 0s and at most 1h`},
		"timeout much":     {func(s *Settings) { s.Timeout = 2 * time.Hour }, `timeout: 2h0m0s is not more than 0s and at most 1h`},
		"start":            {func(s *Settings) { s.Start.Back = -time.Hour }, `start: -1h0m0s lies in the future: now, beginning, or a duration back`},
		"two starts":       {func(s *Settings) { s.Start = Start{Beginning: true, Back: 1} }, `start: it can't be both beginning and a duration back`},
		"where":            {func(s *Settings) { s.Where = "object_typ == 1" }, `where: unknown name object_typ (1:1)`},
		"where no bool":    {func(s *Settings) { s.Where = "event" }, `where: for a user.created: the result is not true or false: it is string`},
		"format":           {func(s *Settings) { s.Format = "xml" }, `format: "xml" is none of json, cloudevents (or give a body: a Go template)`},
		"two formats":      {func(s *Settings) { s.Format, s.Body = FormatJSON, "x" }, `body: a template takes the place of a format: leave out format: json`},
		"no body":          {func(s *Settings) { s.Format = FormatTemplate }, `body: it is missing: a Go template, as {{json .data}}`},
		"type prefix":      {func(s *Settings) { s.Format, s.TypePrefix = FormatCloudEvents, "a b" }, `type_prefix: "a b" is not 1 to 128 printable characters without a blank`},

		"no url":       {url(""), `url: it is no URL that begins with http:// or https:// and a host`},
		"broken url":   {url("https://" + secretToken + "%zz@x/"), `url: it is no URL that begins with http:// or https:// and a host`},
		"other scheme": {url("ftp://user:" + secretToken + "@x"), `url: it is no URL that begins with http:// or https:// and a host`},
		"no host":      {url("https://:443/x"), `url: the host is missing`},
		"port":         {url("https://x:70000/"), `url: the port "70000" is not between 1 and 65535`},
		"fragment":     {url("https://x/#y"), `url: what follows # is never sent: leave it out`},
		"metadata":     {url("http://169.254.169.254/latest"), `url: 169.254.169.254 is refused: it is the address of a cloud's metadata service, which gives credentials to whoever asks`},
		"metadata 6":   {url("http://[::ffff:a9fe:a9fe]/"), `url: ::ffff:a9fe:a9fe is refused: it is the address of a cloud's metadata service, which gives credentials to whoever asks`},
		"header":       {header("X Y", "1"), `headers: "X Y" is not a valid header name`},
		"own header":   {header("webhook-ID", "1"), `headers.webhook-ID: this header is set by the sender and can't be replaced`},
		"host header":  {header("host", "1"), `headers.host: this header is set by the sender and can't be replaced`},
		"length":       {header("content-length", "1"), `headers.content-length: this header is set by the sender and can't be replaced`},
		"header value": {header("X-Y", secretToken+"\r\nX-Z: 1"), `headers.X-Y: the value holds a character that no header may have, such as the end of a line`},
		"two headers": {func(s *Settings) { s.HTTP.Headers = map[string]string{"X-A": "1", "x-a": "2"} },
			`headers.x-a: it is the same header as X-A`},
		"empty key":  {func(s *Settings) { s.HTTP.Keys = []Key{{1}, {}} }, `secret: key 2 is empty`},
		"ca":         {func(s *Settings) { s.HTTP.CA = []byte("no") }, `ca_file: it holds no certificate in PEM`},
		"cert alone": {func(s *Settings) { s.HTTP.Cert = []byte("x") }, `key_file: it is missing, but there is a cert_file`},
		"key alone":  {func(s *Settings) { s.HTTP.Key = []byte("x") }, `cert_file: it is missing, but there is a key_file`},
		"cert": {func(s *Settings) { s.HTTP.Cert, s.HTTP.Key = []byte("x"), []byte(secretToken) },
			`cert_file: it and key_file are no certificate with its key: tls: failed to find any PEM data in certificate input`},

		"no command": {func(s *Settings) { s.Type, s.HTTP, s.Exec = TypeExec, nil, &ExecSettings{} }, `command: it is missing: a list of a program's path and its arguments`},
		"zero byte": {func(s *Settings) {
			s.Type, s.HTTP, s.Exec = TypeExec, nil, &ExecSettings{Command: []string{"a", "b\x00"}}
		}, `command[1]: it holds a zero byte`},
		"routing key": {func(s *Settings) {
			s.Type, s.HTTP, s.AMQP = TypeAMQP, nil, &AMQPSettings{URL: "amqp://localhost", RoutingKey: "{{.evnt}}"}
		}, `routing_key: routing_key:1:2: no event has the field evnt; there are ` + strings.Join(eventFields, ", ")},
		"subject": {func(s *Settings) {
			s.Type, s.HTTP, s.NATS = TypeNATS, nil, &NATSSettings{URL: "nats://localhost", Subject: "{{"}
		}, `subject: subject:1: unclosed action`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Settings{Name: "billing", Type: TypeHTTP, HTTP: &HTTPSettings{URL: "https://billing.example.com/kazoo"}}
			test.change(&s)
			d, problems := Compile(s)
			var got []string
			for _, p := range problems {
				got = append(got, p.Error())
			}
			if d != nil || !slices.Equal(got, []string{test.want}) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if strings.Contains(strings.Join(got, ""), secretToken) {
				t.Errorf("a secret in %q", got)
			}
		})
	}
}

// TestEveryProblemAtOnce: one problem doesn't hide another.
func TestEveryProblemAtOnce(t *testing.T) {
	t.Parallel()
	_, problems := Compile(Settings{
		Name: "-A-", Type: TypeHTTP, HTTP: &HTTPSettings{URL: "x", Headers: map[string]string{"Host": "x"}, CA: []byte("x")},
		Events: []string{"A", "b!"}, Accounts: []string{" "}, Where: "(", Format: FormatTemplate, Body: "{{", Retry: []time.Duration{-1, 1, -1},
		Concurrency: -1, Rate: -1, Order: "x", Timeout: -1, Start: Start{Back: -1},
	})
	var places []string
	for _, p := range problems {
		places = append(places, p.Place)
	}
	want := []string{"", "url", "headers.Host", "ca_file", "events[0]", "events[1]", "accounts[0]", "retry[0]", "retry[2]", "concurrency", "rate", "order", "timeout", "start", "where", "body"}
	if !slices.Equal(places, want) {
		t.Errorf("got %q, want %q", places, want)
	}
}

// TestWarnings lists settings that can be used but get a warning.
func TestWarnings(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		settings Settings
		want     string
	}{
		"unknown event": {Settings{Events: []string{"user.*", "usr.deleted"}}, `events[1]: no event is known whose name is "usr.deleted"`},
		"of our own":    {Settings{Events: []string{"kazoohook.*", "kazoohook.outages"}}, `events[1]: no event is known whose name is "kazoohook.outages"`},
		"none of ours":  {Settings{Events: []string{"?azoohook.*"}}, `events[0]: no event is known whose name is "?azoohook.*"`}, // only kazoohook names them
		"short key":     {Settings{Type: TypeHTTP, HTTP: &HTTPSettings{URL: "http://x", Keys: []Key{Key("abc")}}}, "secret: key 1 has 3 bytes"},
		"clear text":    {Settings{Type: TypeHTTP, HTTP: &HTTPSettings{URL: "http://user:" + secretToken + "@billing.example.com/"}}, "url: the password crosses the network in clear text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := compiled(t, test.settings)
			if len(d.Warnings) != 1 || !strings.HasPrefix(d.Warnings[0], test.want) || strings.Contains(d.Warnings[0], secretToken) {
				t.Errorf("warnings %q", d.Warnings)
			}
		})
	}
}
