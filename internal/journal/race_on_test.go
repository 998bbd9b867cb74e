//go:build race

package journal

// slow says that SQLite, Go code here, runs some twenty times slower: tests that
// try many cases try fewer.
const slow = true
