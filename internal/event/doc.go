// Package event turns what Kazoo sends into typed events.
//
// Each family of events is a row of the table in families.go: how a request and its
// duplicates are recognised, its ordering key, its struct, the sentence of its log
// line, and its documentation. [Route] scans the raw bytes once, before the answer
// to Kazoo, and finds the event's name, account, object and identity. [Decode] runs
// later, when an event is read: it decodes the stored bytes into the family's
// struct, so a better decoder improves old events too.
//
// The package has no goroutines. Its only state is the table, which doesn't change
// after the start. Its functions are safe for concurrent use. It stores nothing:
// the journal keeps the bytes and the result of Route.
package event

// docs/events.md and docs/schemas/event.json are generated from the table.
//go:generate go test . -run ^TestReference$ -update
