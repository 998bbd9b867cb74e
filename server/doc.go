// Package server runs the public and the admin HTTP server: listeners, limits,
// timeouts, displacement of connections and the order of stopping. The caller gives
// the handlers.
//
// Each listener has a fixed number of places. The list of its connections is
// guarded by its lock; what changes with every request (busy, trusted, refused,
// silent since) is in atomic fields of the connection, written by the goroutine
// of net/http that serves it.
//
// Goroutines: one for each listener, one that waits for the stop, and those of
// net/http. Nothing is stored.
package server
