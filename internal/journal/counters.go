package journal

import "sync/atomic"

type counters struct {
	appends      atomic.Int64
	transactions atomic.Int64
	duplicates   [ruleCount]atomic.Int64
	pruned       atomic.Int64
	prunedUnread atomic.Int64
	lastError    atomic.Pointer[failure]
}
