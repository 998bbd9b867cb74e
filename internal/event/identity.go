package event

import (
	"crypto/sha256"
	"encoding/binary"
)

// LifecycleKey returns the key under RuleLifecycle of an object's creation and
// deletion. Almost all ids are 32 hexadecimal digits drawn by CouchDB and unique in
// a cluster. The account is left out, because account documents live in two
// databases and version 5 omits the account of a deleted account. Such a key is the
// id's 128 bits with the type folded in, which costs a tenth of a hash. Any other
// id, such as the <language>/<prompt> of a media prompt, is the same in every
// account (kazoo 4.3 applications/crossbar/src/modules/cb_media.erl): there the
// account counts, and the key is a hash.
func LifecycleKey(accountID, objectType, objectID string) Key {
	var key Key
	if unhexID(&key, objectID) {
		const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
		hash := uint64(offset)
		for i := 0; i < len(objectType); i++ {
			hash = (hash ^ uint64(objectType[i])) * prime
		}
		first := binary.BigEndian.Uint64(key[:8])
		binary.BigEndian.PutUint64(key[:8], first^hash)
		return key
	}
	k := newKey("lifecycle")
	k.add(objectType)
	k.add(objectID)
	k.add(accountID)
	return k.sum()
}

// uniqueInCluster reports whether an id is unique without its account.
func uniqueInCluster(objectID string) bool {
	var key Key
	return unhexID(&key, objectID)
}

// unhexID reads an id of 32 lower-case hexadecimal digits.
func unhexID(key *Key, id string) bool {
	if len(id) != 2*len(key) {
		return false
	}
	for i := range key {
		high, low := id[2*i], id[2*i+1]
		if !isLowerHex(high) || !isLowerHex(low) {
			return false
		}
		key[i] = unhex(high)<<4 | unhex(low)
	}
	return true
}

func isLowerHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f'
}

// identify sets the event's duplicate rule and key from its family.
func (s *scan) identify(r *Record, f *facts, id *identity) {
	switch {
	case id.lifecycle && r.Action != Edited:
		r.Dedupe = Dedupe{RuleLifecycle, LifecycleKey(r.AccountID, r.ObjectType, r.ObjectID)}
		return
	case len(id.facts) == 0:
		r.Dedupe = requestKey(r)
		return
	}
	for _, n := range id.facts[:id.required] {
		if len(f[n]) == 0 {
			r.Dedupe = requestKey(r)
			return
		}
	}
	// The hook is left out: the same event through two hooks, for example while one
	// replaces the other, is one event.
	k := newKey(r.Event)
	k.add(r.AccountID)
	for _, n := range id.facts {
		var buf [maxFact]byte
		k.add(string(s.appendText(buf[:0], f[n])))
	}
	if id.body {
		body := sha256.Sum256(r.Body)
		k.add(string(body[:]))
	}
	r.Dedupe = Dedupe{RuleContent, k.sum()}
}

// requestKey returns the key under RuleUnacknowledged: same hook, same bytes. It is
// for edits in version 1 (two real edits of one object have identical bytes) and
// for events without fields that make their content unique. The hook's path counts
// only if no hook id was sent, as by a callflow's webhook action.
func requestKey(r *Record) Dedupe {
	k := newKey("delivery")
	k.add(r.HookID)
	if r.HookID == "" {
		k.add(r.Hook)
	}
	body := sha256.Sum256(r.Body)
	k.add(string(body[:]))
	return Dedupe{RuleUnacknowledged, k.sum()}
}

// envelopeKey returns the key under RuleContent of a version 2 event. Its timestamp
// and data (with the document's revision) make the body unique, so only a resent
// request is identical.
func envelopeKey(r *Record) Dedupe {
	k := newKey("envelope")
	body := sha256.Sum256(r.Body)
	k.add(string(body[:]))
	return Dedupe{RuleContent, k.sum()}
}

// keyBuilder collects the parts of a key, each with its length, so that different
// lists of parts differ. The hash is SHA-256, because callers choose some parts (a
// caller id, a message) and must not be able to make two events look like one.
type keyBuilder struct {
	n   int
	buf [256]byte
	big []byte // replaces buf when that is full
}

func newKey(kind string) keyBuilder {
	var k keyBuilder
	k.add(kind)
	return k
}

func (k *keyBuilder) add(part string) {
	if k.big == nil && k.n+len(part)+binary.MaxVarintLen32 > len(k.buf) {
		k.big = append(make([]byte, 0, 2*len(k.buf)+len(part)), k.buf[:k.n]...)
	}
	if k.big != nil {
		k.big = append(binary.AppendUvarint(k.big, uint64(len(part))), part...)
		return
	}
	b := append(binary.AppendUvarint(k.buf[:k.n], uint64(len(part))), part...)
	k.n = len(b)
}

func (k *keyBuilder) sum() Key {
	data := k.big
	if data == nil {
		data = k.buf[:k.n]
	}
	hash := sha256.Sum256(data)
	return Key(hash[:len(Key{})])
}
