// Package consumer reads events from the journal. A Consumer reads them in
// order, at least once, and hands batches to a Sink. LogSink prints the event
// lines.
//
// Each Consumer has one goroutine, Run, which owns its position. The position is a
// cursor in the journal. It is saved after each batch, before the next is handled,
// so a crash repeats at most one batch, with the same ids. A failing sink is tried
// again with growing pauses and delays no other consumer; Stuck reports it.
// Retention keeps the events that a cursor has not passed.
package consumer
