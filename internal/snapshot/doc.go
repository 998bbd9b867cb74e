// Package snapshot holds what is known of Kazoo's objects (users, devices,
// accounts and so on) and the rules by which that changes.
//
// Each object in Kazoo has one Object, with its creation and its deletion. It
// follows the events of the journal: a creation or an edit makes it known and
// alive, a deletion makes it deleted. Listings and look-ups only add names and
// fields, with two exceptions: a listing makes an unknown object known, and a
// look-up that finds a deleted object makes it alive again. An object that a
// listing lacks, or that a look-up doesn't find, is not removed.
//
// Functions change only the Object they are called on, and depend only on it and
// their arguments. Package journal stores the objects and package registration asks
// Kazoo. There are no goroutines, no clock and no storage.
package snapshot
