package journal

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/integrity"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// disk records what is written to the files of one directory. A test can then make
// the directory as it was at any moment, without what was not synced.
type disk struct {
	dir     string
	settled int // operations after which Open synced the directory

	mu  sync.Mutex
	ops []diskOp
}

type diskOp struct {
	file string
	kind opKind
	at   int64
	data []byte
}

type opKind uint8

const (
	opWrite opKind = iota
	opTruncate
	opSync
	opDelete
)

func (d *disk) add(op diskOp) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ops = append(d.ops, op)
}

func (d *disk) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.ops)
}

// noted records the file newest; see Options.noted.
func (d *disk) noted(b []byte) {
	if b == nil {
		d.add(diskOp{file: integrity.NewestName, kind: opSync})
		return
	}
	d.add(diskOp{file: integrity.NewestName, data: bytes.Clone(b)})
}

// files returns the directory's files after the first n operations. If machine is set,
// the machine died then: each file lacks some operations after its last sync.
func (d *disk) files(n int, machine bool, r *rand.Rand) map[string][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	synced := map[string]int{}
	for i, op := range d.ops[:n] {
		if op.kind == opSync {
			synced[op.file] = i
		}
	}
	files := map[string][]byte{}
	lose := r.IntN(3) // 0: all, 1: each at random, 2: all from a random one on
	cut := n
	if n > 0 {
		cut = r.IntN(n + 1)
	}
	for i, op := range d.ops[:n] {
		if machine && i >= d.settled && i > synced[op.file] && (lose == 0 || lose == 1 && r.IntN(2) == 0 || lose == 2 && i >= cut) {
			continue
		}
		b := files[op.file]
		switch op.kind {
		case opWrite:
			if need := int(op.at) + len(op.data); need > len(b) {
				b = append(b, make([]byte, need-len(b))...)
			}
			copy(b[op.at:], op.data)
		case opTruncate:
			b = b[:min(int(op.at), len(b))]
		case opDelete:
			delete(files, op.file)
			continue
		case opSync:
			continue
		}
		files[op.file] = b
	}
	return files
}

// write writes files into a directory.
func write(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// recording is SQLite's own file system, but records what is written to the
// directories of disks. It is registered once in the process, under recordingName.
type recording struct {
	mu    sync.Mutex
	disks map[string]*disk
	files map[uintptr]recorded // open files, by SQLite's handle
	base  sqlite3.Tsqlite3_vfs
	calls map[uintptr]uintptr // our tables of functions, by SQLite's

	// SQLite keeps pointers to these.
	open     func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32
	remove   func(*libc.TLS, uintptr, uintptr, int32) int32
	close    func(*libc.TLS, uintptr) int32
	write    func(*libc.TLS, uintptr, uintptr, int32, int64) int32
	truncate func(*libc.TLS, uintptr, int64) int32
	sync     func(*libc.TLS, uintptr, int32) int32
}

type recorded struct {
	disk  *disk
	name  string
	calls *sqlite3.Tsqlite3_io_methods // SQLite's own
}

const recordingName = "recording"

// openRecorded opens a connection whose writes are recorded.
func openRecorded(path, options string, pragmas ...string) (*conn, error) {
	return database.Open(path, options+"&vfs="+recordingName, pragmas...)
}

// record begins to record a directory.
func record(t testing.TB, dir string) *disk {
	t.Helper()
	r := theRecording()
	d := &disk{dir: dir}
	r.mu.Lock()
	r.disks[dir] = d
	r.mu.Unlock()
	t.Cleanup(func() {
		r.mu.Lock()
		delete(r.disks, dir)
		r.mu.Unlock()
	})
	return d
}

// at returns the memory at an address of SQLite's, which is never Go's own memory.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) } //nolint:gosec // C's memory

// address returns the pointer by which SQLite calls a Go function.
func address[F any](f *F) uintptr { return *(*uintptr)(unsafe.Pointer(f)) } //nolint:gosec // kept alive by recording

// function returns the function of SQLite's at an address.
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&struct{ p uintptr }{p})) } //nolint:gosec // as SQLite does

var theRecording = sync.OnceValue(func() *recording {
	r := &recording{
		disks: map[string]*disk{}, files: map[uintptr]recorded{}, calls: map[uintptr]uintptr{},
	}
	tls := libc.NewTLS()
	defer tls.Close()
	r.base = *at[sqlite3.Tsqlite3_vfs](sqlite3.Xsqlite3_vfs_find(tls, 0))
	r.define()
	vfs := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(r.base)))
	name, err := libc.CString(recordingName)
	if err != nil {
		panic(err)
	}
	v := at[sqlite3.Tsqlite3_vfs](vfs)
	*v = r.base
	v.FxOpen, v.FxDelete = address(&r.open), address(&r.remove)
	v.FzName, v.FpNext = name, 0
	if rc := sqlite3.Xsqlite3_vfs_register(tls, vfs, 0); rc != 0 {
		panic(rc)
	}
	return r
})

// of returns the disk that has a path, and the file's name there.
func (r *recording) of(path string) (*disk, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.disks[filepath.Dir(path)], filepath.Base(path)
}

func (r *recording) file(f uintptr) recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files[f]
}

func (r *recording) define() {
	r.open = func(tls *libc.TLS, vfs, path, f uintptr, flags int32, out uintptr) int32 {
		rc := function[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](r.base.FxOpen)(tls, vfs, path, f, flags, out)
		if rc != 0 || path == 0 {
			return rc
		}
		if d, name := r.of(libc.GoString(path)); d != nil && !strings.HasSuffix(name, "-shm") {
			r.mu.Lock()
			defer r.mu.Unlock()
			file := at[sqlite3.Tsqlite3_file](f)
			theirs := at[sqlite3.Tsqlite3_io_methods](file.FpMethods)
			ours := r.calls[file.FpMethods]
			if ours == 0 {
				ours = libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(*theirs)))
				c := at[sqlite3.Tsqlite3_io_methods](ours)
				*c = *theirs
				c.FxClose, c.FxWrite = address(&r.close), address(&r.write)
				c.FxTruncate, c.FxSync = address(&r.truncate), address(&r.sync)
				r.calls[file.FpMethods] = ours
			}
			r.files[f] = recorded{d, name, theirs}
			file.FpMethods = ours
		}
		return rc
	}
	r.remove = func(tls *libc.TLS, vfs, path uintptr, dirSync int32) int32 {
		if d, name := r.of(libc.GoString(path)); d != nil {
			d.add(diskOp{file: name, kind: opDelete})
			if dirSync != 0 {
				d.add(diskOp{file: name, kind: opSync})
			}
		}
		return function[func(*libc.TLS, uintptr, uintptr, int32) int32](r.base.FxDelete)(tls, vfs, path, dirSync)
	}
	r.close = func(tls *libc.TLS, f uintptr) int32 {
		c := r.file(f)
		r.mu.Lock()
		delete(r.files, f)
		r.mu.Unlock()
		return function[func(*libc.TLS, uintptr) int32](c.calls.FxClose)(tls, f)
	}
	r.write = func(tls *libc.TLS, f, buf uintptr, n int32, off int64) int32 {
		c := r.file(f)
		c.disk.add(diskOp{file: c.name, at: off, data: bytes.Clone(unsafe.Slice(at[byte](buf), n))}) //nolint:gosec // C's memory
		return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](c.calls.FxWrite)(tls, f, buf, n, off)
	}
	r.truncate = func(tls *libc.TLS, f uintptr, size int64) int32 {
		c := r.file(f)
		c.disk.add(diskOp{file: c.name, kind: opTruncate, at: size})
		return function[func(*libc.TLS, uintptr, int64) int32](c.calls.FxTruncate)(tls, f, size)
	}
	r.sync = func(tls *libc.TLS, f uintptr, flags int32) int32 {
		c := r.file(f)
		rc := function[func(*libc.TLS, uintptr, int32) int32](c.calls.FxSync)(tls, f, flags)
		if rc == 0 {
			c.disk.add(diskOp{file: c.name, kind: opSync})
		}
		return rc
	}
}
