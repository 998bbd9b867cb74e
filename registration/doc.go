// Package registration keeps our hooks registered in Kazoo, and finds what they
// missed.
//
// The Engine runs four loops. None waits for the requests of another. The
// Reconciler compares our hooks with Kazoo's and repairs them (plan.go is the pure
// part). The Recoverer reads back what Kazoo could not deliver. The Resyncer
// compares Kazoo's objects with the snapshot after outages and periodically.
// Between comparisons, Resyncer.Follow looks up single objects for the snapshot.
//
// All durable state is in the journal, in its table of state and in its snapshot:
// checkpoints, the proof of each hook, the completed first listings. After a crash
// each loop repeats its last step, and the journal recognises duplicates. Only
// counts and current failures are in memory.
package registration
