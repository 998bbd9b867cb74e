// Package integrity notices what is wrong with a journal's files. A Ledger holds
// which events can't be read and which numbers no event has. Readers and the writer
// report damage to it, and Patrol and Check search for damage. The file newest says
// what the database must hold, so that a lost log or an old copy is noticed at the
// next start (Judge).
//
// A Ledger may be used from any goroutine, a NewestFile from one. The package starts
// a goroutine for each sync of the file newest; Close waits for it. The Ledger is lost
// with the process and filled again. The file newest survives the death of the
// process; after the death of the machine it may be a second behind.
package integrity
