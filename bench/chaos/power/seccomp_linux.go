//go:build linux && (amd64 || arm64)

package power

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Variable names, in the environment of a child, the program that the child becomes.
const Variable = "KAZOOHOOK_CHAOS_WATCHED"

// socket is the child's descriptor over which it sends the listener.
const socket = 3

// Start starts a command under observation. The child is first this program, which
// must call Become at its start.
func (r *Recorder) Start(cmd *exec.Cmd) error {
	if len(cmd.ExtraFiles) > 0 {
		return errors.New("a watched command has no other files")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("watch a program: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer func() { _ = ours.Close() }()
	cmd.Env = append(cmd.Environ(), Variable+"="+cmd.Path)
	cmd.Path, cmd.Err = self, nil
	cmd.ExtraFiles = []*os.File{theirs}
	err = cmd.Start()
	_ = theirs.Close() // the child has its own
	if err != nil {
		return err
	}
	listener, err := receive(ours)
	if err != nil {
		_ = cmd.Process.Kill()
		return errors.Join(fmt.Errorf("watch a program: %w", err), cmd.Wait())
	}
	go func() {
		defer func() { _ = unix.Close(listener) }() // nothing was written to it
		r.note(r.listen(listener))
	}()
	return nil
}

// Check returns an error if programs can't be observed here: a container may forbid it.
func Check() error {
	dir, err := os.MkdirTemp("", "kazoohook-power-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary directory does no harm
	r, err := NewRecorder(dir, dir)
	if err != nil {
		return err
	}
	cmd := exec.Command("true") //nolint:noctx // it ends at once
	if err := r.Start(cmd); err != nil {
		return err
	}
	return errors.Join(cmd.Wait(), r.Err())
}

// receive gets a descriptor from the child.
func receive(ours *os.File) (int, error) {
	data, control := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	n, size, _, _, err := unix.Recvmsg(int(ours.Fd()), data, control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, errors.New("the child ended without a listener: is its program one that calls power.Become?")
	}
	messages, err := unix.ParseSocketControlMessage(control[:size])
	if err != nil {
		return 0, err
	}
	for _, m := range messages {
		if fds, err := unix.ParseUnixRights(&m); err == nil && len(fds) == 1 {
			return fds[0], nil
		}
	}
	return 0, errors.New("the child sent no listener")
}

// Become makes this process the program that Variable names, under observation. It
// returns only if Variable is not set, or on failure.
func Become() error {
	program := os.Getenv(Variable)
	if program == "" {
		return nil
	}
	runtime.LockOSThread() // the filter is this thread's, and exec keeps no other
	if err := os.Unsetenv(Variable); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("watch %s: %w", program, err)
	}
	code := filter()
	list := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	listener, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&list))) //nolint:gosec // as the kernel wants it
	if errno != 0 {
		return fmt.Errorf("watch %s: seccomp: %w", program, errno)
	}
	if err := unix.Sendmsg(socket, []byte{0}, unix.UnixRights(int(listener)), nil, 0); err != nil {
		return fmt.Errorf("watch %s: %w", program, err)
	}
	unix.CloseOnExec(socket)
	return syscall.Exec(program, os.Args, os.Environ()) //nolint:gosec // the program under test
}

// filter notifies of syncs, renames, and files that are opened for synchronous writing.
func filter() []unix.SockFilter {
	const (
		number, flags = 0, 16 + 2*8 // offsets in struct seccomp_data; flags is openat's third argument
		load          = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal         = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		anyBit        = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		answer        = unix.BPF_RET | unix.BPF_K
	)
	code := []unix.SockFilter{{Code: load, K: number}}
	asked := append([]uint32{unix.SYS_FSYNC, unix.SYS_FDATASYNC}, renames()...)
	for i, n := range asked {
		code = append(code, unix.SockFilter{Code: equal, Jt: uint8(len(asked) - i + 3), K: n})
	}
	return append(code,
		unix.SockFilter{Code: equal, Jf: 2, K: unix.SYS_OPENAT},
		unix.SockFilter{Code: load, K: flags},
		unix.SockFilter{Code: anyBit, Jt: 1, K: unix.O_DSYNC},
		unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_USER_NOTIF},
	)
}

// notification is struct seccomp_notif, answer is struct seccomp_notif_resp.
type (
	notification struct {
		ID      uint64
		Process uint32
		Flags   uint32
		Number  int32
		Arch    uint32
		At      uint64
		Args    [6]uint64
	}
	answer struct {
		ID    uint64
		Value int64
		Error int32
		Flags uint32
	}
)

// listen serves a child until it has ended.
func (r *Recorder) listen(listener int) error {
	for {
		ready := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return err
		}
		if ready[0].Revents&unix.POLLIN == 0 {
			return nil // no process is left
		}
		var n notification
		if err := control(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); err != nil { //nolint:gosec // as the kernel wants it
			if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINTR) {
				continue // it was killed meanwhile
			}
			return fmt.Errorf("observe a sync: %w", err)
		}
		r.note(r.observe(&n))
		goOn := answer{ID: n.ID, Flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if err := control(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&goOn)); err != nil && !errors.Is(err, unix.ENOENT) { //nolint:gosec // as the kernel wants it
			return fmt.Errorf("let a sync go on: %w", err)
		}
	}
}

func control(listener int, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}

// observe records one system call, before it happens.
func (r *Recorder) observe(n *notification) error {
	process := int(n.Process)
	switch uint32(n.Number) {
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		return gone(r.fsync(process, int(int32(n.Args[0]))))
	case unix.SYS_OPENAT:
		path, err := pathOf(process, int32(n.Args[0]), n.Args[1])
		if err != nil {
			return gone(err)
		}
		return r.open(path)
	}
	directory, name := oldName(n)
	path, err := pathOf(process, directory, name)
	if err != nil {
		return gone(err)
	}
	return gone(r.rename(path))
}

// gone drops the errors of reading from a process that has just ended.
func gone(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
