package power

import "golang.org/x/sys/unix"

// renames are the system calls that rename a file.
func renames() []uint32 { return []uint32{unix.SYS_RENAME, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2} }

// oldName returns the place of the old path in a rename's arguments.
func oldName(n *notification) (directory int32, address uint64) {
	if n.Number == unix.SYS_RENAME {
		return unix.AT_FDCWD, n.Args[0]
	}
	return int32(n.Args[0]), n.Args[1]
}
