package delivery

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"kazoohook/internal/event"
)

// Destination is a destination with checked settings. It doesn't change; its methods
// are safe for concurrent use.
type Destination struct {
	Settings // with defaults for unset settings

	// Warnings name settings that can be used but look like a mistake, a sentence each.
	Warnings []string

	where *filter    // nil: none
	body  *rendering // nil unless Format is FormatTemplate
	route *route     // nil unless the type has routing keys or subjects
}

// Limits of the settings.
const (
	maxConcurrency = 1024
	maxRetries     = 100
	maxRetryWait   = 30 * 24 * time.Hour
	maxTimeout     = time.Hour
	maxRate        = 1e6
)

// DefaultRetry returns the waits after the failed attempts if Retry is nil.
func DefaultRetry() []time.Duration {
	return []time.Duration{
		5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
		time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 24 * time.Hour,
	}
}

// withDefaults sets the defaults of unset settings: zero values, and a nil Retry.
func (s Settings) withDefaults() Settings {
	if s.Retry == nil {
		s.Retry = DefaultRetry()
	}
	if s.Format == "" {
		s.Format = FormatJSON
		if s.Body != "" {
			s.Format = FormatTemplate
		}
	}
	s.TypePrefix = cmp.Or(s.TypePrefix, "kazoohook.")
	s.Concurrency = cmp.Or(s.Concurrency, 8)
	s.Order = cmp.Or(s.Order, OrderObject)
	s.Timeout = cmp.Or(s.Timeout, 15*time.Second)
	if s.AMQP != nil {
		amqp := *s.AMQP
		amqp.RoutingKey = cmp.Or(amqp.RoutingKey, "{{.event}}")
		s.AMQP = &amqp
	}
	if s.NATS != nil {
		nats := *s.NATS
		nats.Subject = cmp.Or(nats.Subject, "kazoo.{{.event}}")
		s.NATS = &nats
	}
	if s.Postgres != nil {
		postgres := *s.Postgres
		postgres.Table = cmp.Or(postgres.Table, "kazoo_events")
		s.Postgres = &postgres
	}
	return s
}

// problems collects what is wrong with settings.
type problems []Problem

func (p *problems) add(place, format string, args ...any) {
	*p = append(*p, Problem{Place: place, Err: fmt.Errorf(format, args...)})
}

// Compile checks settings, and tries their templates and expressions on a sample of
// each kind of event that the destination takes. It reports every problem. Without a
// problem, the Destination is ready. Unset settings get their defaults.
func Compile(s Settings) (*Destination, []Problem) {
	d := &Destination{Settings: s.withDefaults()}
	var p problems
	if !validName.MatchString(s.Name) {
		p.add("", "the name %s is not 1 to 40 of a-z, 0-9 and -", quoted(s.Name))
	}
	d.checkType(&p)
	d.checkSelection(&p)
	d.checkSchedule(&p)
	d.compile(&p)
	if len(p) > 0 {
		return nil, p
	}
	return d, nil
}

var validName = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// quoted returns a value for an error, shortened if it is long.
func quoted(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%q...", strings.ToValidUTF8(s[:most], ""))
	}
	return fmt.Sprintf("%q", s)
}

// checkType checks that the settings of the type are given, and those of no other.
func (d *Destination) checkType(p *problems) {
	given := map[Type]bool{
		TypeHTTP: d.HTTP != nil, TypeExec: d.Exec != nil, TypeAMQP: d.AMQP != nil, TypeNATS: d.NATS != nil, TypePostgres: d.Postgres != nil,
	}
	mine, known := given[d.Type]
	switch {
	case d.Type == "":
		p.add("type", "it is missing: one of http, exec, amqp, nats, postgres")
		return
	case !known:
		p.add("type", "%s is none of http, exec, amqp, nats, postgres", quoted(string(d.Type)))
		return
	case !mine:
		p.add("type", "the settings of %s are missing", d.Type)
	}
	for _, t := range []Type{TypeHTTP, TypeExec, TypeAMQP, TypeNATS, TypePostgres} {
		if given[t] && t != d.Type {
			p.add("type", "settings of %s don't belong to a destination of type %s", t, d.Type)
		}
	}
	switch {
	case !mine:
	case d.Type == TypeHTTP:
		d.HTTP.check(p)
		d.Warnings = append(d.Warnings, d.HTTP.warnings()...)
	case d.Type == TypeExec:
		d.Exec.check(p)
	case d.Type == TypeAMQP:
		d.AMQP.check(p)
	case d.Type == TypeNATS:
		d.NATS.check(p)
	case d.Type == TypePostgres:
		d.Postgres.check(p)
	}
}

// checkSelection checks which events the destination takes.
func (d *Destination) checkSelection(p *problems) {
	for i, pattern := range d.Events {
		place := fmt.Sprintf("events[%d]", i)
		switch {
		case pattern == "":
			p.add(place, "it is empty: an event's name, with * and ? as wildcards, as user.deleted or channel.*")
		case !validPattern.MatchString(pattern):
			p.add(place, "%s is not a pattern of event names: they consist of a-z, 0-9, _ and ., with * and ? as wildcards", quoted(pattern))
		case !slices.ContainsFunc(event.Names(), func(name string) bool { return takes(pattern, name) }):
			d.Warnings = append(d.Warnings, fmt.Sprintf("%s: no event is known whose name is %q; known are e.g. user.deleted, device.created, channel.destroy, notification.new_user", place, pattern))
		}
	}
	for i, account := range d.Accounts {
		if !validAccount.MatchString(account) {
			p.add(fmt.Sprintf("accounts[%d]", i), "%s is not an account id: those are letters and digits, without wildcards", quoted(account))
		}
	}
}

var (
	validPattern = regexp.MustCompile(`^[a-z0-9_.*?]{1,128}$`)
	validAccount = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
)

// checkSchedule checks the settings of when attempts are made.
func (d *Destination) checkSchedule(p *problems) {
	for i, wait := range d.Retry {
		if wait < 0 || wait > maxRetryWait {
			p.add(fmt.Sprintf("retry[%d]", i), "%v is not between 0s and 30d", wait)
		}
	}
	if len(d.Retry) > maxRetries {
		p.add("retry", "%d waits are more than %d", len(d.Retry), maxRetries)
	}
	if d.Concurrency < 1 || d.Concurrency > maxConcurrency {
		p.add("concurrency", "%d is not between 1 and %d", d.Concurrency, maxConcurrency)
	}
	if math.IsNaN(d.Rate) || d.Rate < 0 || d.Rate > maxRate {
		p.add("rate", "%v a second is not between 0 and %d", d.Rate, int(maxRate))
	}
	switch d.Order {
	case OrderObject, OrderAll, OrderNone:
	default:
		p.add("order", "%s is none of object, all, none", quoted(string(d.Order)))
	}
	if d.Timeout <= 0 || d.Timeout > maxTimeout {
		p.add("timeout", "%v is not more than 0s and at most 1h", d.Timeout)
	}
	if d.Start.Back < 0 {
		p.add("start", "%v lies in the future: now, beginning, or a duration back", d.Start.Back)
	}
	if d.Start.Beginning && d.Start.Back != 0 {
		p.add("start", "it can't be both beginning and a duration back")
	}
}

// compile compiles the expression and the templates, and tries them on samples.
func (d *Destination) compile(p *problems) {
	if d.Where != "" {
		where, err := newFilter(d.Where)
		if err != nil {
			p.add("where", "%w", err)
		}
		d.where = where
	}
	switch d.Format {
	case FormatJSON, FormatCloudEvents:
		if d.Body != "" {
			p.add("body", "a template takes the place of a format: leave out format: %s", d.Format)
		}
	case FormatTemplate:
		if d.Body == "" {
			p.add("body", "it is missing: a Go template, as {{json .data}}")
			break
		}
		d.body = newTemplate(p, "body", d.Body)
	default:
		p.add("format", "%s is none of json, cloudevents (or give a body: a Go template)", quoted(string(d.Format)))
	}
	if d.Format == FormatCloudEvents && !validPrefix.MatchString(d.TypePrefix) {
		p.add("type_prefix", "%s is not 1 to 128 printable characters without a blank", quoted(d.TypePrefix))
	}
	switch {
	case d.Type == TypeAMQP && d.AMQP != nil:
		d.route = newRoute(p, "routing_key", d.AMQP.RoutingKey, checkRoutingKey)
	case d.Type == TypeNATS && d.NATS != nil:
		d.route = newRoute(p, "subject", d.NATS.Subject, checkSubject)
	}
	if d.body != nil {
		d.try(p, "body", func(fields map[string]any) error { _, err := d.body.render(fields); return err })
	}
	if d.route != nil {
		d.try(p, d.route.place, func(fields map[string]any) error { _, err := d.route.of(fields); return err })
	}
	d.tryWhere(p)
}

var validPrefix = regexp.MustCompile(`^[[:graph:]]{1,128}$`)

func newTemplate(p *problems, place, text string) *rendering {
	t, err := newRendering(place, text)
	if err != nil {
		p.add(place, "%w", err)
		return nil
	}
	return t
}
