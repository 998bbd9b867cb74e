package tracing

import (
	"slices"
	"strings"
	"testing"
)

func environment(list ...string) func(string) string {
	return func(name string) string {
		for _, e := range list {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				return v
			}
		}
		return ""
	}
}

// TestWanted: traces are made only where an endpoint is set and nothing forbids it.
func TestWanted(t *testing.T) {
	t.Parallel()
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318"
	for list, want := range map[string]bool{
		"":       false,
		endpoint: true,
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c/v1/traces": true,
		endpoint + ";OTEL_SDK_DISABLED=true":                    false,
		endpoint + ";OTEL_SDK_DISABLED=TRUE":                    false,
		endpoint + ";OTEL_SDK_DISABLED=yes":                     true,
		endpoint + ";OTEL_TRACES_EXPORTER=none":                 false,
		endpoint + ";OTEL_TRACES_EXPORTER=otlp":                 true,
		endpoint + ";OTEL_TRACES_EXPORTER=zipkin":               false,
		"OTEL_TRACES_EXPORTER=otlp":                             false,
		"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://c/":         false,
	} {
		if got := Wanted(environment(strings.Split(list, ";")...)); got != want {
			t.Errorf("%s: %v", list, got)
		}
	}
	if tracer, err := Open(t.Context(), Options{Getenv: environment()}); tracer != nil || err != nil {
		t.Error(tracer, err)
	}
}

// TestProblems: each bad value is shown, except a header's.
func TestProblems(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"OTEL_SDK_DISABLED=yes":                            `OTEL_SDK_DISABLED: "yes" is neither true nor false, and counts as false`,
		"OTEL_SDK_DISABLED=True":                           "",
		"OTEL_TRACES_EXPORTER=console":                     `OTEL_TRACES_EXPORTER: "console" is not an exporter of this program, so there are no traces; use otlp or none`,
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc":                 `OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" is not supported; http/protobuf is used, whose port is 4318`,
		"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf": "",
		"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318":       `OTEL_EXPORTER_OTLP_ENDPOINT: is not a URL; use e.g. http://collector:4318`,
		"OTEL_EXPORTER_OTLP_HEADERS=abc":                   `OTEL_EXPORTER_OTLP_HEADERS: holds something that isn't name=value; use name=value,name=value`,
		"OTEL_EXPORTER_OTLP_HEADERS=a=b,c=d":               "",
		"OTEL_EXPORTER_OTLP_TIMEOUT=10s":                   `OTEL_EXPORTER_OTLP_TIMEOUT: "10s" is not a whole number from 0`,
		"OTEL_EXPORTER_OTLP_COMPRESSION=brotli":            `OTEL_EXPORTER_OTLP_COMPRESSION: "brotli" is not known; use gzip or none`,
		"OTEL_BSP_MAX_QUEUE_SIZE=-1":                       `OTEL_BSP_MAX_QUEUE_SIZE: "-1" is not a whole number from 0`,
		"OTEL_TRACES_SAMPLER=sometimes":                    `OTEL_TRACES_SAMPLER: "sometimes" is not known; use always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio`,
		"OTEL_TRACES_SAMPLER=traceidratio":                 "",
		"OTEL_PROPAGATORS=b3":                              `OTEL_PROPAGATORS: "b3" names one that is not supported; use tracecontext or none`,
		"OTEL_PROPAGATORS=tracecontext,baggage":            "",
		"OTEL_SERVICE_NAME=mine":                           "",
		"OTEL_EXPORTER_OTLP_CERTIFICATE=/no/such/ca.pem":   `OTEL_EXPORTER_OTLP_CERTIFICATE: "/no/such/ca.pem" can't be read: no such file or directory`,
		"OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY=/":           `OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: "/" can't be read: is a directory`,
		"OTEL_EXPORTER_OTLP_CERTIFICATE=doc.go":            `OTEL_EXPORTER_OTLP_CERTIFICATE: "doc.go" holds no certificate; use a file of PEM certificates`,
		"OTEL_EXPORTER_OTLP_CLIENT_KEY=doc.go":             "",
		"OTEL_RESOURCE_ATTRIBUTES=production":              `OTEL_RESOURCE_ATTRIBUTES: "production" holds something that isn't name=value; use name=value,name=value`,
		"OTEL_RESOURCE_ATTRIBUTES=a=b,c=d":                 "",
	} {
		var list []string
		if want != "" {
			list = []string{want}
		}
		if got := Problems(environment(set)); !slices.Equal(got, list) {
			t.Errorf("%s: %q", set, got)
		}
	}
	got := Problems(environment("OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=10"))
	if !slices.Equal(got, []string{`OTEL_TRACES_SAMPLER_ARG: "10" is not a ratio; use a number from 0 to 1`}) {
		t.Errorf("%q", got)
	}
}
