package event

import "time"

// Query selects events of the journal. The zero value selects all, newest first.
type Query struct {
	Since, Until  time.Time // received at or after Since and before Until; zero: unbounded
	Events        []string  // names, with * and ? as wildcards; any may match
	Accounts      []string  // account ids, with wildcards; any may match
	Objects       []string  // object ids, exact; any may match
	Sources       []Source  // any may match
	Text          string    // a substring of the raw body, case-insensitive
	After, Before int64     // exclusive bounds of seq; 0: unbounded. The cursors of paging
	OldestFirst   bool
	Limit         int // 0: the journal's default
}
