package tracing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"kazoohook/internal/delivery"
	"kazoohook/internal/event"
)

// Options configure a Tracer.
type Options struct {
	Getenv  func(string) string // for OTEL_*; the SDK reads the process's environment itself
	Version string              // of the program
	Mask    func(string) string // masks secrets in errors; nil: there are none
	Log     zerolog.Logger
}

// Tracer makes spans. Its methods are safe for concurrent use.
type Tracer struct {
	provider  *sdktrace.TracerProvider
	tracer    trace.Tracer
	mask      func(string) string
	propagate bool
	recent    recent
}

// Open starts tracing. It returns nil if the environment doesn't ask for it. It
// sets OpenTelemetry's error handler for the whole process.
func Open(ctx context.Context, o Options) (*Tracer, error) {
	if !Wanted(o.Getenv) {
		return nil, nil //nolint:nilnil // no Tracer, no error
	}
	if o.Mask == nil {
		o.Mask = func(s string) string { return s }
	}
	otel.SetErrorHandler(newThrottled(o.Log, o.Mask, time.Now))
	otel.SetLogger(logr.Discard()) // Problems says what is wrong with the variables
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("export traces (OTEL_EXPORTER_OTLP_ENDPOINT): %w", err)
	}
	what, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "kazoohook"), attribute.String("service.version", o.Version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, errors.Join(fmt.Errorf("describe the service for traces (OTEL_RESOURCE_ATTRIBUTES): %w", err), exporter.Shutdown(ctx))
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(what))
	return &Tracer{provider: provider, tracer: provider.Tracer("kazoohook"), mask: o.Mask, propagate: propagates(o.Getenv)}, nil
}

// Close sends the remaining spans until ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last traces: %s", t.mask(err.Error()))
	}
	return nil
}

// Request is the span of one request from Kazoo. One goroutine uses it.
type Request struct {
	t      *Tracer
	ctx    context.Context //nolint:containedctx // of the span, not of a call
	span   trace.Span
	append trace.Span // nil: no append runs
	ticket uint64     // see recent
}

// Request begins the span of a request that came with the secret. If a trusted
// proxy sent it, the span continues the proxy's trace.
func (t *Tracer) Request(r *http.Request, hook string, begun time.Time, proxied bool) *Request {
	ctx := context.WithoutCancel(r.Context())
	if proxied && t.propagate {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	}
	ctx, span := t.tracer.Start(ctx, r.Method+" /kazoo/{secret}/{hook}", trace.WithTimestamp(begun), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", r.Method), attribute.String("http.route", "/kazoo/{secret}/{hook}"),
			attribute.String("kazoohook.hook", text(hook)), attribute.String("kazoohook.hook_id", text(r.Header.Get("X-Hook-Id")))))
	return &Request{t: t, ctx: ctx, span: span}
}

// Appending begins the span of the append. The event may be delivered before
// Appended is called.
func (q *Request) Appending() {
	_, q.append = q.t.tracer.Start(q.ctx, "append to the journal")
	q.ticket = q.t.recent.begin()
}

// Appended records the result of the append.
func (q *Request) Appended(name, account string, done event.Appended, err error) {
	span := q.append
	if err != nil {
		span.SetStatus(codes.Error, q.t.mask(err.Error()))
	}
	about := []attribute.KeyValue{
		attribute.String("kazoohook.event", name), attribute.String("kazoohook.account_id", text(account)),
	}
	if err == nil {
		about = append(about, attribute.Int64("kazoohook.seq", done.Seq), attribute.String("kazoohook.event_id", done.ID),
			attribute.Bool("kazoohook.duplicate", done.Duplicate))
		if !done.Duplicate && done.Seq > 0 {
			q.t.recent.add(done.Seq, q.span.SpanContext())
		}
	}
	span.SetAttributes(about...)
	q.span.SetAttributes(about...)
	q.endAppend()
}

func (q *Request) endAppend() {
	if q.append != nil {
		q.append.End()
		q.append = nil
		q.t.recent.end(q.ticket)
	}
}

// Answered ends the span.
func (q *Request) Answered(status int) {
	q.span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		q.span.SetStatus(codes.Error, "")
	}
	q.endAppend() // the append may have panicked
	q.span.End()
}

// Attempt begins the span of an attempt at a delivery; it serves as
// delivery.Options.Trace. The span joins the trace of the event's request, if that
// is remembered.
func (t *Tracer) Attempt(ctx context.Context, m *delivery.Message) (context.Context, func(delivery.Result)) {
	if of, ok := t.recent.get(ctx, m.Seq); ok {
		ctx = trace.ContextWithSpanContext(ctx, of)
	}
	ctx, span := t.tracer.Start(ctx, "deliver to "+m.Destination, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		attribute.String("kazoohook.destination", m.Destination), attribute.String("kazoohook.event", m.Event), attribute.String("kazoohook.event_id", m.EventID),
		attribute.Int64("kazoohook.seq", m.Seq), attribute.String("kazoohook.account_id", text(m.Account)),
		attribute.Int("kazoohook.attempt", m.Attempt), attribute.Bool("kazoohook.redelivered", m.Redelivered)))
	if t.propagate {
		carrier := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(ctx, carrier)
		m.Traceparent = carrier["traceparent"]
	}
	return ctx, func(r delivery.Result) {
		if r.Status != "" {
			span.SetAttributes(attribute.String("kazoohook.status", t.mask(r.Status)))
		}
		if r.Err != nil {
			span.SetStatus(codes.Error, t.mask(r.Err.Error()))
		}
		span.End()
	}
}

// text makes a foreign text fit for an attribute: valid UTF-8 of bounded length.
func text(s string) string {
	const most = 256
	return strings.ToValidUTF8(s[:min(len(s), most)], "?")
}
