// Package oldformat imports a journal that an earlier version wrote (journal.db), at
// the first start of this version. It copies events with their bodies, numbers and
// ids, cursors, what is known of objects and of their creation and deletion,
// recovered firings, unanswered requests, and state.
//
// Its only state is the copy that it makes (tables.Builder). It runs on its caller's
// goroutine. It may be killed at any moment and goes on at the next start. The old
// file isn't changed; the operator may remove it afterwards. The package is to be
// deleted in a later release.
package oldformat
