// Package power cuts the power of a program. It runs the program as a child process
// and observes each of its syncs. After a SIGKILL it makes the directory as a disk
// would hold it that kept exactly what was synced.
//
// The kernel's seccomp stops the child at every fsync and fdatasync and notifies the
// Recorder (SECCOMP_RET_USER_NOTIF), which copies the file as it is then, and lets
// the call continue. This needs no debugger, no library in between and no privilege,
// and works for SQLite and for the embedded NATS server. A file that was opened with
// O_SYNC or O_DSYNC keeps what was written to it. Names are kept as they are at the
// cut: a file system with a journal commits them in order, with each sync. A file
// that was never synced is missing, even if something was written to it.
//
// The Recorder has one goroutine for each child, which ends with the child. Linux on
// amd64 and arm64 only.
package power
