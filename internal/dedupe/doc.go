// Package dedupe decides whether a request or a recovered attempt is a
// duplicate: whether its event is already in the journal.
//
// Decide is pure. It asks a Lookup, which package journal answers from its tables
// as of the command that is being applied. Time is the journal's own clock and
// travels in the command, so every node that applies the same commands makes the
// same decisions. The package has no goroutines, no state and no storage.
//
// The cases of TestDecide document the rules.
package dedupe
