// Command kazoohook is a durable receiver for the webhooks of the Kazoo phone
// platform. See README.md.
//
// This package composes everything; no package imports it. Only here config.Config
// becomes the options of each package. serve and demo run a service (service.go). It
// opens the journal, binds the listeners and registers. It stops in the reverse order,
// each stage within a limit. Its goroutines are those of the two servers, registration,
// delivery and each consumer (turn.go), and the loops that service.run starts. One more
// writes to standard output (internal/output).
//
// Everything that is shown passes one redactor (redaction.go) and, for a terminal,
// printable (terminal.go). All durable state is in DATA_DIR.
package main
