// Package journal keeps events durably and in order. What Append has stored survives
// the death of the process and of the machine. The journal also keeps what follows
// from the events: what is known of Kazoo's objects, which requests Kazoo may repeat,
// and how far each consumer and each destination has read.
//
// Every change is a command (command.go). apply (apply.go) depends only on the database
// and the command: numbers, ids and times travel in the command. Package dedupe decides
// what is a duplicate, package snapshot what becomes of an object, package delivery what
// becomes of a delivery (deliveries_*.go); this package stores the result in one SQLite
// database in WAL mode with ordinary tables and indexes (packages tables and database).
//
// One goroutine, the writer (writer.go), owns the connection that changes the database.
// It applies all queued commands (queue.go) in one transaction with one sync
// (transaction.go): outcomes of answers first, requests last. tx (tx.go) holds the
// events and objects that the commands changed; they are written at the end, several
// rows with each statement. Readers (read.go, objects.go) have connections of their own.
// The newest events are also in memory (package tail).
//
// In a cluster several journals apply one replicated log (Replica). A command is encoded
// (codec.go) and published (propose.go); requests that wait at the same moment share an
// entry (outbox.go). Every node reads the log in order (follow.go). A command's number is
// its place among all commands of the log (log.go). Nothing else changes a table, so all
// nodes hold the same rows. A chain of hashes over what each command read and changed
// shows a node that differs (chain.go). The effect of a command must not depend on which
// commands share its transaction; where it would, the command gets one of its own.
//
// Other goroutines: the checkpointer of package database, the patrol and the syncs of
// package integrity, and in a cluster one that reads the log, two that send requests to
// it, and one that sends outcomes of answers. All end with Close.
//
// An event, a listing and a state survive everything once the call has returned. A
// cursor and the outcome of an answer survive the death of the process, and after the
// next event the death of the machine. A lost log, an old copy and damage are noticed
// (damage.go, package integrity). Package archive makes backups, restores and salvages.
package journal
