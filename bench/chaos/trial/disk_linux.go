package trial

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// dieWithParent makes the receiver end with this process, in whatever way that ends.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// diskSize leaves room for a journal of tens of thousands of events.
const diskSize = 64 << 20

// disk is the place of the data directory. If mounting is permitted, it is a small
// file system of its own, which can be filled.
type disk struct {
	dir     string
	mounted bool
	why     string // the reason why it is not mounted
}

func newDisk(dir string, own bool) (*disk, error) {
	d := &disk{dir: filepath.Join(dir, "disk")}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, err
	}
	if !own {
		d.why = "not asked for"
		return d, nil
	}
	if err := syscall.Mount("kazoohook-chaos", d.dir, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); err != nil {
		d.why = "mounting a small file system is not permitted: " + err.Error()
		return d, nil
	}
	d.mounted = true
	return d, nil
}

func (d *disk) filler() string { return filepath.Join(d.dir, "filler") }

// fill uses up all space.
func (d *disk) fill() error {
	if !d.mounted {
		return nil
	}
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	for size := 1 << 20; size > 0; size /= 2 {
		for block := make([]byte, size); err == nil; {
			_, err = f.Write(block)
		}
		err = nil
	}
	return f.Close()
}

// free ends that.
func (d *disk) free() error {
	if !d.mounted {
		return nil
	}
	return os.RemoveAll(d.filler())
}

func (d *disk) close() error {
	if !d.mounted {
		return nil
	}
	return syscall.Unmount(d.dir, syscall.MNT_DETACH)
}
