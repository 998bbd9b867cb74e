package delivery

import "time"

// Settings are the configuration of one destination. Compile checks them.
type Settings struct {
	Name string // 1 to 40 of a-z, 0-9 and "-"
	Type Type

	Events     []string // patterns of event names; none: all except kazoohook.*
	Accounts   []string // these accounts and their descendants; none: all
	Where      string   // expr-lang expression over the event's JSON; "": all
	Unverified bool     // also deliver events whose signature is wrong

	Format     Format
	Body       string // Go template for FormatTemplate
	TypePrefix string // begins the CloudEvents type

	Retry       []time.Duration // waits after the failed attempts; after the last one the event is a dead letter
	Concurrency int             // waits after failed attempts; then one more failure makes a dead letter
	Rate        float64         // attempts a second, redelivered ones included; 0: no limit
	Order       Order
	Timeout     time.Duration // of one attempt
	Start       Start

	// The one for Type is set.
	HTTP     *HTTPSettings
	Exec     *ExecSettings
	AMQP     *AMQPSettings
	NATS     *NATSSettings
	Postgres *PostgresSettings
}

// Type is what a destination is.
type Type string

// The types of destinations.
const (
	TypeHTTP     Type = "http"
	TypeExec     Type = "exec"
	TypeAMQP     Type = "amqp"
	TypeNATS     Type = "nats"
	TypePostgres Type = "postgres"
)

// Format is how an event's body is written.
type Format string

// The formats.
const (
	FormatJSON        Format = "json"
	FormatCloudEvents Format = "cloudevents"
	FormatTemplate    Format = "template"
)

// Order says which events of a destination wait for each other.
type Order string

// The orders: events of one ordering key wait for each other, all do, or none does.
const (
	OrderObject Order = "object"
	OrderAll    Order = "all"
	OrderNone   Order = "none"
)

// Start is where a destination begins when its name is first seen. The zero value means
// now.
type Start struct {
	Beginning bool          // with the oldest event kept
	Back      time.Duration // this long before now
}

// HTTPSettings are the settings of an HTTP destination. Files are read when the
// settings are made, and again when they change.
type HTTPSettings struct {
	URL     string
	Keys    []Key             // they sign, the newest first; none: no signature
	Headers map[string]string // added to each request
	CA      []byte            // PEM; none: the system's authorities
	Cert    []byte            // PEM, with Key: the client certificate
	Key     []byte            // PEM
}

// Key signs requests as in Standard Webhooks: the bytes that "whsec_…" encodes.
type Key []byte

// ExecSettings are the settings of a program that runs once for each event.
type ExecSettings struct {
	Command []string // the path, then its arguments
}

// AMQPSettings are the settings of a RabbitMQ destination.
type AMQPSettings struct {
	URL        string
	Exchange   string
	RoutingKey string // Go template over the event's JSON; default {{.event}}
}

// NATSSettings are the settings of a NATS JetStream destination.
type NATSSettings struct {
	URL         string
	Credentials string // path of a credentials file
	Subject     string // Go template over the event's JSON; default kazoo.{{.event}}
}

// PostgresSettings are the settings of a PostgreSQL destination.
type PostgresSettings struct {
	DSN   string
	Table string // default kazoo_events; may be schema.table
}

// Problem is a setting that can't be used.
type Problem struct {
	Place string // within the destination, like "retry[2]"
	Err   error  // one sentence without a secret
}
