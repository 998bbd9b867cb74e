// Package crossbar is a client of Crossbar, Kazoo's HTTP API: it logs in, keeps
// the token, stays below Kazoo's rate limits, retries what may be retried, and
// turns Kazoo's answers into Go types and typed errors. No secret ever appears
// in an error or a log line of this package.
//
// A Client owns the token (session), the turns of requests that wait under
// KAZOO_API_RATE (budget: hooks before recovery before listings), and the last
// known difference between Kazoo's clock and ours. It starts no goroutines and
// keeps nothing on disk: after a restart it logs in again.
//
// Answers can't exhaust memory: an answer, an element of it and a listing have
// limits (limits), counted after decompression. Beyond a limit there is an error,
// never a partial result.
package crossbar
