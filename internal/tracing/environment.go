package tracing

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Wanted reports whether the environment asks for traces: an endpoint is set, and
// neither OTEL_SDK_DISABLED nor OTEL_TRACES_EXPORTER switches them off.
func Wanted(getenv func(string) string) bool {
	exporter := getenv("OTEL_TRACES_EXPORTER")
	return first(getenv, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT") != "" &&
		!strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") && (exporter == "" || exporter == "otlp")
}

func first(getenv func(string) string, names ...string) string {
	for _, n := range names {
		if v := getenv(n); v != "" {
			return v
		}
	}
	return ""
}

// propagates reports whether W3C trace context is accepted and sent.
func propagates(getenv func(string) string) bool {
	v := getenv("OTEL_PROPAGATORS")
	return v == "" || slices.Contains(words(v), "tracecontext")
}

func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// Problems returns a sentence for each problem with OpenTelemetry's variables. A
// wrong value is ignored, as OpenTelemetry demands.
func Problems(getenv func(string) string) (problems []string) {
	say := func(name, value, format string, args ...any) {
		problems = append(problems, name+": "+strconv.Quote(value)+" "+fmt.Sprintf(format, args...))
	}
	given := func(names []string, check func(name, value string)) {
		for _, n := range names {
			if v := getenv(n); v != "" {
				check(n, v)
			}
		}
	}
	otlp := func(names ...string) (all []string) {
		for _, n := range names {
			all = append(all, "OTEL_EXPORTER_OTLP_"+n, "OTEL_EXPORTER_OTLP_TRACES_"+n)
		}
		return all
	}
	given([]string{"OTEL_SDK_DISABLED"}, func(n, v string) {
		if !strings.EqualFold(v, "true") && !strings.EqualFold(v, "false") {
			say(n, v, "is neither true nor false, and counts as false")
		}
	})
	given([]string{"OTEL_TRACES_EXPORTER"}, func(n, v string) {
		if v != "otlp" && v != "none" {
			say(n, v, "is not an exporter of this program, so there are no traces; use otlp or none")
		}
	})
	given(otlp("PROTOCOL"), func(n, v string) {
		if v != "http/protobuf" {
			say(n, v, "is not supported; http/protobuf is used, whose port is 4318")
		}
	})
	given(otlp("ENDPOINT"), func(n, v string) {
		if u, err := url.Parse(v); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			problems = append(problems, n+": is not a URL; use e.g. http://collector:4318")
		}
	})
	given(otlp("HEADERS"), func(n, v string) {
		for pair := range strings.SplitSeq(v, ",") {
			if key, _, ok := strings.Cut(pair, "="); !ok || strings.TrimSpace(key) == "" {
				problems = append(problems, n+": holds something that isn't name=value; use name=value,name=value") // it may be a secret
				return
			}
		}
	})
	given(otlp("COMPRESSION"), func(n, v string) {
		if v != "gzip" && v != "none" {
			say(n, v, "is not known; use gzip or none")
		}
	})
	numbers := append(otlp("TIMEOUT"), "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE")
	given(numbers, func(n, v string) {
		if i, err := strconv.Atoi(v); err != nil || i < 0 {
			say(n, v, "is not a whole number from 0")
		}
	})
	given(slices.Concat(otlp("CERTIFICATE"), otlp("CLIENT_CERTIFICATE"), otlp("CLIENT_KEY")), func(n, v string) {
		switch content, err := os.ReadFile(v); {
		case err != nil:
			say(n, v, "can't be read: %v", errors.Unwrap(err))
		case !strings.HasSuffix(n, "_KEY") && !x509.NewCertPool().AppendCertsFromPEM(content):
			say(n, v, "holds no certificate; use a file of PEM certificates")
		}
	})
	given([]string{"OTEL_RESOURCE_ATTRIBUTES"}, func(n, v string) {
		for pair := range strings.SplitSeq(v, ",") {
			if key, _, ok := strings.Cut(pair, "="); !ok || strings.TrimSpace(key) == "" {
				say(n, v, "holds something that isn't name=value; use name=value,name=value")
				return
			}
		}
	})
	problems = append(problems, samplerProblems(getenv)...)
	given([]string{"OTEL_PROPAGATORS"}, func(n, v string) {
		for _, p := range words(v) {
			if !slices.Contains([]string{"tracecontext", "baggage", "none"}, p) {
				say(n, v, "names one that is not supported; use tracecontext or none")
				return
			}
		}
	})
	return problems
}

func samplerProblems(getenv func(string) string) []string {
	const name = "OTEL_TRACES_SAMPLER"
	sampler, arg := getenv(name), getenv(name+"_ARG")
	known := []string{"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"}
	if sampler != "" && !slices.Contains(known, sampler) {
		return []string{fmt.Sprintf("%s: %q is not known; use %s", name, sampler, strings.Join(known, ", "))}
	}
	if strings.HasSuffix(sampler, "traceidratio") && arg != "" {
		if ratio, err := strconv.ParseFloat(arg, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
			return []string{fmt.Sprintf("%s_ARG: %q is not a ratio; use a number from 0 to 1", name, arg)}
		}
	}
	return nil
}
