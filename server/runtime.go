package server

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
)

// TuneRuntime tunes Go's runtime for a receiver (docs/performance.md). GOMAXPROCS
// and GOGC in the environment take precedence.
func TuneRuntime() {
	if os.Getenv("GOMAXPROCS") == "" {
		// One thread is mostly in a sync, and the runtime is slow to reuse its
		// processor.
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(75) // saves 1 of 41 MB under full load for one percent of time
	}
}

// maxFiles is how many files the process may open.
func maxFiles() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil || l.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(l.Cur)
}

// roomFor is how many of the files that the process may open are for connections. The
// others are for the journal, the log and Kazoo's API. A connection that can't be
// accepted can't displace another one.
func roomFor(files int) int {
	const fewest = 40 // with one more for every 32 files, up to most
	const most = 128
	return files - min(fewest+files/32, most)
}

// challenges is how many of the connections are for ACME's listener, if there is one.
func challenges(files int) int { return min(challengeConns, max(roomFor(files)/8, 2)) }

// share divides the connections that are left: at most a quarter for the admin
// listener, the rest for the public one.
func share(room, public, admin int) (publicConns, adminConns int) {
	admin = min(admin, max(room/4, 2))
	return min(public, max(room-admin, 2)), admin
}
