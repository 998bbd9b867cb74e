//go:build race

package journal

// slow says that SQLite, which is Go code here, runs about twenty times slower. Tests
// with many cases try fewer.
const slow = true
