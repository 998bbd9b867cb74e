package journal

import (
	"encoding/binary"

	"kazoohook/internal/event"
)

// The index finds events by a 64-bit hash of what is looked for, because one
// small integer key is several times cheaper to keep than the texts: who
// looks something up compares the event itself, so a collision costs a read,
// never a wrong answer. The hashes are stored: they must not change.

// Events are indexed by account and by name in blocks of blockSize: those have
// few values, so that one entry stands for many events.
const blockSize = 64

func block(seq int64) int64 { return seq &^ (blockSize - 1) }

func accountHash(account string) int64 { return int64(hash('a', account)) }
func nameHash(name string) int64       { return int64(hash('e', name)) }

// identityHash is where one event is found: 48 bits of its object, so that all
// events of an object are neighbours, and 16 of its dedupe key. An event that
// is about no object is found by its key alone.
func identityHash(objectID string, k event.Key) int64 {
	low := mix(binary.LittleEndian.Uint64(k[:8])^binary.LittleEndian.Uint64(k[8:])) & 0xffff
	if objectID == "" {
		return int64(hash('k', string(k[:]))&^0xffff | low)
	}
	return int64(hash('o', objectID)&^0xffff | low)
}

// objectRange are the bounds of identityHash for one object.
func objectRange(objectID string) (lo, hi int64) {
	h := hash('o', objectID)
	return int64(h &^ 0xffff), int64(h | 0xffff)
}

// hash is FNV-1a with a finalizer.
func hash(kind byte, s string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := (uint64(offset) ^ uint64(kind)) * prime
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}
	return mix(h)
}

// mix is the finalizer of MurmurHash3.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
