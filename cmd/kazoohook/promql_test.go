package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// promToken splits a PromQL expression into texts, ranges, matchers' operators, names,
// numbers and single characters.
var promToken = regexp.MustCompile(`"[^"]*"|\[[^\]]*\]|=~|!~|!=|[a-zA-Z_][a-zA-Z0-9_:]*|[0-9][0-9.]*|\S`)

// promCheck looks in an expression for metrics, labels and values that are not exposed.
// It is not a PromQL parser, because the real one is a very large module. It knows what
// the dashboard and the alert rules use.
type promCheck struct {
	got    exposed
	tokens []string
	at     int
	found  []string
	names  []string // metrics that the expression uses
}

func checkPromQL(expr string, got exposed) *promCheck {
	c := &promCheck{got: got, tokens: promToken.FindAllString(expr, -1)}
	depth := 0
	for c.at < len(c.tokens) {
		switch token := c.next(); {
		case token == "(":
			depth++
		case token == ")":
			if depth--; depth < 0 {
				c.problem("a parenthesis too many")
			}
		case token[0] == '_' || token[0] >= 'a' && token[0] <= 'z':
			c.word(token)
		}
	}
	if depth > 0 {
		c.problem("a parenthesis is not closed")
	}
	if len(c.names) == 0 {
		c.problem("no metric")
	}
	return c
}

func (c *promCheck) problem(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

func (c *promCheck) next() string {
	if c.at == len(c.tokens) {
		return ")"
	}
	c.at++
	return c.tokens[c.at-1]
}

func (c *promCheck) peek() string {
	if c.at == len(c.tokens) {
		return ""
	}
	return c.tokens[c.at]
}

func (c *promCheck) word(name string) {
	functions := []string{
		"absent", "count", "histogram_quantile", "increase", "last_over_time", "max", "max_over_time", "min", "rate", "round", "sum", "time", "topk",
	}
	switch {
	case slices.Contains([]string{"and", "or", "unless"}, name):
	case slices.Contains([]string{"by", "without", "on", "ignoring", "group_left"}, name):
		for token := c.next(); token != ")"; token = c.next() { // a list of labels
			if token != "(" && token != "," && !c.isLabel(token) {
				c.problem("no metric has a label %q", token)
			}
		}
	case c.peek() == "(" || slices.Contains(functions, name):
		if !slices.Contains(functions, name) {
			c.problem("unknown function %q", name)
		}
	default:
		c.metric(name)
	}
}

func (c *promCheck) metric(name string) {
	if name == "up" { // Prometheus itself makes this metric
		return
	}
	family := c.got[name]
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, part); ok && c.got[base].GetType() == dto.MetricType_HISTOGRAM {
			family, name = c.got[base], base
		}
	}
	if family == nil {
		c.problem("there is no metric %q", name)
		return
	}
	c.names = append(c.names, name)
	if c.peek() != "{" {
		return
	}
	c.next()
	for token := c.next(); token != "}" && c.at < len(c.tokens); token = c.next() {
		if token == "," {
			continue
		}
		values := strings.Split(strings.Trim(c.nextAfter(c.next()), `"`), "|")
		known := labelValues(family, token)
		switch {
		case token == "instance" || token == "job":
		case len(known) == 0:
			c.problem("%s has no label %q", name, token)
		default:
			for _, v := range values {
				if !slices.Contains(known, v) {
					c.problem("%s has no series with %s=%q", name, token, v)
				}
			}
		}
	}
}

// nextAfter returns the value after a matcher's operator.
func (c *promCheck) nextAfter(operator string) string {
	if !slices.Contains([]string{"=", "!=", "=~", "!~"}, operator) {
		c.problem("no matcher: %q", operator)
	}
	return c.next()
}

func (c *promCheck) isLabel(name string) bool {
	if slices.Contains([]string{"instance", "job", "le"}, name) {
		return true
	}
	for _, f := range c.got {
		if len(labelValues(f, name)) > 0 {
			return true
		}
	}
	return false
}

func labelValues(f *dto.MetricFamily, label string) (values []string) {
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == label {
				values = append(values, l.GetValue())
			}
		}
	}
	return values
}

// TestPromQLIsChecked: the check finds the mistakes that it is for.
func TestPromQLIsChecked(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	histogram, counter := dto.MetricType_HISTOGRAM, dto.MetricType_COUNTER
	got := exposed{
		"a_total": {Type: &counter, Metric: []*dto.Metric{{Label: []*dto.LabelPair{{Name: text("code"), Value: text("2xx")}}}}},
		"b":       {Type: &histogram, Metric: []*dto.Metric{{}}},
	}
	for expr, want := range map[string]string{
		`sum by (code) (rate(a_total{instance=~"$instance", code!="2xx"}[$__rate_interval])) > 0`: "",
		`histogram_quantile(0.99, sum by (le) (rate(b_bucket[5m]))) and on (job) a_total`:         "",
		`rate(c_total[5m])`:        `there is no metric "c_total"`,
		`a_total_bucket`:           `there is no metric "a_total_bucket"`,
		`a_total{cod="2xx"}`:       `a_total has no label "cod"`,
		`a_total{code=~"2xx|9xx"}`: `a_total has no series with code="9xx"`,
		`sum by (cod) (a_total)`:   `no metric has a label "cod"`,
		`sume(a_total)`:            `unknown function "sume"`,
		`sum(a_total`:              "a parenthesis is not closed",
		`sum(a_total))`:            "a parenthesis too many",
		`time() - 5`:               "no metric",
		`a_total{code "2xx"}`:      `no matcher: "\"2xx\""`,
	} {
		found, first := checkPromQL(expr, got).found, ""
		if len(found) > 0 {
			first = found[0]
		}
		if first != want {
			t.Errorf("%s: %q, want %q first", expr, found, want)
		}
	}
}
