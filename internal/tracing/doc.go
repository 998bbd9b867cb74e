// Package tracing exports OpenTelemetry spans: for each request from Kazoo, for its
// append to the journal, and for each attempt at a delivery.
//
// OpenTelemetry's own variables (OTEL_*) switch it on and configure it; its SDK
// reads them from the process's environment. Goroutines of the SDK send spans in
// batches, by OTLP over HTTP, until Close. A full queue drops spans, so a collector
// that is down delays nothing. For the newest events the trace of the request is
// remembered in memory, so that their deliveries join that trace.
//
// No span holds a path, a body or an address: the hook's path contains its secret.
package tracing
