package journal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// walState is what a write-ahead log holds (https://sqlite.org/fileformat2.html,
// section 4).
type walState struct {
	frames int                 // valid ones up to the last commit
	pages  uint32              // size of the database after the last commit, 0 if there is none
	has    map[uint32]struct{} // pages in it
	// lost are the commits that were on disk and follow a damaged place, where
	// SQLite stops reading. Every transaction is synced before the next one
	// begins, so only the last may be torn by a crash: then lost is 0.
	lost int
}

const (
	walHeader   = 32
	frameHeader = 24
)

// readWAL reads the log at path; a missing one is empty.
func readWAL(path string) (w walState, err error) {
	w.has = map[uint32]struct{}{}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return w, nil
	}
	if err != nil {
		return w, err
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReaderSize(f, 1<<16)
	h := make([]byte, walHeader)
	if _, err := io.ReadFull(r, h); err != nil {
		return w, ignoreEOF(err)
	}
	var order binary.ByteOrder = binary.LittleEndian
	magic := binary.BigEndian.Uint32(h)
	if magic&1 == 1 {
		order = binary.BigEndian
	}
	sum := walSum{}.add(order, h[:24])
	valid := magic&^1 == 0x377f0682 && sum.matches(h[24:])
	if valid && binary.BigEndian.Uint32(h[8:]) != pageSize {
		return w, errDamage(fmt.Sprintf("its -wal file has pages of %d bytes", binary.BigEndian.Uint32(h[8:])))
	}
	salt := string(h[16:24])
	frame := make([]byte, frameHeader+pageSize)
	var open []uint32 // pages of a transaction whose commit has not come yet
	ended := false    // the transaction in which the damage is has ended
	for n := 1; ; n++ {
		if _, err := io.ReadFull(r, frame); err != nil {
			return w, ignoreEOF(err)
		}
		if string(frame[8:16]) != salt {
			valid = false // left over from before the log last started over
			continue
		}
		page, size := binary.BigEndian.Uint32(frame), binary.BigEndian.Uint32(frame[4:])
		if valid {
			sum = sum.add(order, frame[:8]).add(order, frame[frameHeader:])
			valid = sum.matches(frame[16:])
		}
		switch {
		case valid:
			open = append(open, page)
			if size > 0 {
				for _, p := range open {
					w.has[p] = struct{}{}
				}
				w.frames, w.pages, open = n, size, open[:0]
			}
		case size > 0 && ended:
			w.lost++
		case size > 0:
			ended = true
		}
	}
}

// walSum is the log's running checksum.
type walSum struct{ a, b uint32 }

func (s walSum) add(order binary.ByteOrder, data []byte) walSum {
	for i := 0; i+8 <= len(data); i += 8 {
		s.a += order.Uint32(data[i:]) + s.b
		s.b += order.Uint32(data[i+4:]) + s.a
	}
	return s
}

func (s walSum) matches(stored []byte) bool {
	return s.a == binary.BigEndian.Uint32(stored) && s.b == binary.BigEndian.Uint32(stored[4:])
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}
