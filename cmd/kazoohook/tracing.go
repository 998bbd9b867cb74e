package main

import (
	"context"
	"net/http"
	"time"

	"kazoohook/config"
	"kazoohook/handlers"
	"kazoohook/internal/delivery"
	"kazoohook/internal/tracing"
)

// withTelemetry adds the problems of OpenTelemetry's variables to the warnings.
func withTelemetry(cfg *config.Config) *config.Config {
	cfg.Warnings = append(cfg.Warnings, tracing.Problems(cfg.OTel)...)
	return cfg
}

// openTracer starts tracing if OpenTelemetry's variables ask for it. If that fails,
// the service runs without.
func (s *service) openTracer(ctx context.Context) {
	tracer, err := tracing.Open(ctx, tracing.Options{Getenv: s.cfg.OTel, Version: version().Version, Mask: s.logs.secrets.String, Log: s.logs.Log})
	if err != nil {
		s.logs.Log.Warn().Err(err).Msg("traces can't be made: the service runs without")
		return
	}
	s.tracer = tracer
}

// traceRequest returns Trace of handlers.PublicDeps; nil without tracing.
func (s *service) traceRequest() func(*http.Request, string, time.Time, bool) handlers.Trace {
	if s.tracer == nil {
		return nil
	}
	return func(r *http.Request, hook string, begun time.Time, proxied bool) handlers.Trace {
		return s.tracer.Request(r, hook, begun, proxied)
	}
}

// traceAttempt returns Trace of delivery.Options; nil without tracing.
func (s *service) traceAttempt() func(context.Context, *delivery.Message) (context.Context, func(delivery.Result)) {
	if s.tracer == nil {
		return nil
	}
	return s.tracer.Attempt
}

// tracerLimit bounds the sending of the last traces.
const tracerLimit = 2 * time.Second

// closeTracer sends the last traces, for a limited time.
func (s *service) closeTracer(limit time.Duration) {
	if s.tracer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := s.tracer.Close(ctx); err != nil {
		s.logs.Log.Warn().Err(err).Msg("the last traces are lost")
	}
}
