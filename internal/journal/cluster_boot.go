package journal

import (
	"encoding/binary"
	"slices"

	"kazoohook/internal/journal/database"
)

// boot says which commands of a process were applied: up to highest, except holes.
type boot struct {
	opened  int64 // number of the command that began it
	highest uint64
	holes   []span // ascending
	changed bool
}

// span is a range of numbers, both included.
type span struct{ first, last uint64 }

// take notes a number. It returns false if the number was noted before.
func (b *boot) take(n uint64) bool {
	switch {
	case n > b.highest+1:
		b.holes = append(b.holes, span{b.highest + 1, n - 1})
		fallthrough
	case n == b.highest+1:
		b.highest, b.changed = n, true
		return true
	}
	i, in := slices.BinarySearchFunc(b.holes, n, func(h span, n uint64) int {
		switch {
		case h.last < n:
			return -1
		case h.first > n:
			return 1
		}
		return 0
	})
	if !in {
		return false
	}
	var rest []span
	if h := b.holes[i]; h.first < n {
		rest = append(rest, span{h.first, n - 1})
	}
	if h := b.holes[i]; h.last > n {
		rest = append(rest, span{n + 1, h.last})
	}
	b.holes, b.changed = slices.Replace(b.holes, i, i+1, rest...), true
	return true
}

// bytes returns the holes as they are stored: distances and lengths.
func (b *boot) bytes() []byte {
	list, at := []byte{}, uint64(0)
	for _, h := range b.holes {
		list = binary.AppendUvarint(binary.AppendUvarint(list, h.first-at), h.last-h.first)
		at = h.last
	}
	return list
}

func (b *boot) read(list []byte) error {
	at := uint64(0)
	for len(list) > 0 {
		skip, n := binary.Uvarint(list)
		length, m := binary.Uvarint(list[max(n, 0):])
		if n <= 0 || m <= 0 {
			return database.Damaged("the holes of a process are malformed")
		}
		b.holes = append(b.holes, span{at + skip, at + skip + length})
		at, list = at+skip+length, list[n+m:]
	}
	return nil
}
