// Package tables defines how a journal is stored in SQLite: the schema, its
// migrations, and the rows of events and objects. The journal reads and writes them
// through it. A Builder fills a new database, for an import of an older format or a
// salvage.
//
// It has no rules. Its only state is a Writer's cache of names, which belongs to the
// goroutine that uses it. It starts no goroutines.
package tables
