// Package tail holds the end of a journal as readers see it: its bounds, and the newest
// events in memory, so that consumers that keep up read nothing from the disk.
//
// The writer adds what is on disk. Readers may call it from any goroutine. It starts no
// goroutines, and is lost with the process.
package tail
