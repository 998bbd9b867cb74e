// Package handlers holds every HTTP handler and route. The public side has the
// receiver of Kazoo's requests and the health of the service. The admin side has
// metrics, the history, the live stream, the state, replay and resync.
//
// The handlers own little state. It is in memory and not needed after a crash:
// counts of wrong secrets and tokens by address (limiter), the start of a hook's
// signatures (signatures), and the chart's counts (rates). Events come from the
// journal; the state of hooks and consumers comes from the functions in AdminDeps.
//
// All goroutines are net/http's: one for each connection. A stream waits for events
// in its own.
package handlers
