package config

// otelPrefix begins the names of OpenTelemetry's own variables, which its SDK reads
// from the process's environment.
const otelPrefix = "OTEL_"

// OTel is the value of one of OpenTelemetry's variables.
func (c *Config) OTel(name string) string { return c.otel[name] }
