// Package database claims the data directory for one process, and opens connections
// to the SQLite database there: one for the writer and a pool for readers. It says
// what SQLite's errors mean, and copies SQLite's log into the database. It knows nothing
// of events.
//
// Connections are the driver's own: database/sql's pool, conversions and locks
// would cost the writer a fifth of its time. A connection keeps its prepared
// statements and is used by one goroutine at a time. The package starts one
// goroutine, that of a Checkpointer. A claim ends with the process, however that ends.
package database
