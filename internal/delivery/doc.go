// Package delivery delivers events onward, to the systems of the receiver's operator.
//
// A destination is a durable reader of the journal. It has a cursor, and a table of
// deliveries that wait, are retried or are dead. Both are in the journal and change
// only by its commands, so they survive a kill at any point. What this package holds in
// memory can be read again from the journal.
//
// The Engine has one runner for each destination (runner.go), with four goroutines. One
// evaluates filters and moves the cursor (judge.go). One begins attempts when they are
// due (ahead.go reads what waits into the window of window.go). One records outcomes,
// many together (record.go). One decides about events whose account is looked up
// (decide.go). Two more goroutines serve all: one asks Kazoo for accounts, one cuts the
// backlog. None wakes up while nothing is due.
//
// An event that is delivered at once leaves only its attempt: the journal's cursor
// passes it with its outcome. An event that fails, or takes long, gets a row. A key's
// next event is attempted once the previous outcome is recorded. schedule.go decides
// when, and whether the event or the destination is to blame for a failure.
// Within a process, waits use the monotonic clock. After a restart, no attempt waits
// longer than its own schedule says, whatever the time of day is.
//
// Compile checks settings and makes a Destination of them. It judges events (filter.go)
// and writes them in its format (format.go). Filters are untrusted expressions over
// untrusted events, so they are metered: metering.go says what they pay, meter.go keeps
// the budget.
//
// A Sender makes one attempt at one event; each type of destination has its own file.
package delivery
