// Package archive copies journals. It makes backups of a data directory, in use or
// not, restores them, and copies what can be read from a damaged journal. CheckDir
// looks for damage.
//
// It owns no state and starts no goroutines. MakeBackup and CheckDir change nothing in
// the data directory; Restore and Salvage claim it. MakeBackup and Restore give a file
// its name when it is complete and on disk, so a crash leaves at most a partial file.
package archive
