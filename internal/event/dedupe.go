package event

import (
	"crypto/sha256"
	"encoding/binary"
)

// LifecycleKey is the key under RuleLifecycle of an object's creation and
// deletion. Object ids are unique in a cluster, and the account is left out on
// purpose: account documents live in two databases, and version 5 omits the
// account of a deleted account.
//
// Almost all ids are 32 hexadecimal digits that CouchDB drew, 128 bits as they are:
// such a key is the id with the type folded in, which costs a tenth of a hash on
// the way to the answer. Others are hashed.
func LifecycleKey(objectType, objectID string) Key {
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
	return k.sum()
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

// deliveryKey is the key under RuleUnacknowledged: same hook, same bytes. It is
// for edits in version 1 (two real edits of one object have identical bytes) and
// for whatever lacks the fields that would make its content unique. The hook's
// path counts only where no hook id was sent, as by a callflow's webhook action.
func deliveryKey(r *Record) Dedupe {
	k := newKey("delivery")
	k.add(r.HookID)
	if r.HookID == "" {
		k.add(r.Hook)
	}
	body := sha256.Sum256(r.Body)
	k.add(string(body[:]))
	return Dedupe{RuleUnacknowledged, k.sum()}
}

// envelopeKey is the key under RuleContent of a version 2 event: its timestamp
// and data (which carries the document's revision) make the whole body unique,
// so that only a repetition of the delivery is identical to it.
func envelopeKey(r *Record) Dedupe {
	k := newKey("envelope")
	body := sha256.Sum256(r.Body)
	k.add(string(body[:]))
	return Dedupe{RuleContent, k.sum()}
}

// textMessageKey is the key under RuleContent of an SMS or MMS: its id, and the
// body since nothing says that an id is never used again. Without an id two equal
// messages may be two real ones.
func textMessageKey(r *Record) Dedupe {
	if r.ObjectID == "" {
		return deliveryKey(r)
	}
	k := newKey(r.Event)
	k.add(r.AccountID)
	k.add(r.ObjectID)
	body := sha256.Sum256(r.Body)
	k.add(string(body[:]))
	return Dedupe{RuleContent, k.sum()}
}

// notificationKey is the key under RuleContent of a notification: its msg_id and
// the body, since the publisher chooses the id and nothing stops one from using it
// for two messages (kazoo 4.3 core/kazoo_amqp/src/api/kz_api.erl only passes it on).
func (s *scan) notificationKey(r *Record, msgID []byte) Dedupe {
	if len(msgID) == 0 {
		return deliveryKey(r)
	}
	k := newKey(r.Event)
	k.add(r.AccountID)
	var buf [maxFact]byte
	k.add(string(s.appendText(buf[:0], msgID)))
	body := sha256.Sum256(r.Body)
	k.add(string(body[:]))
	return Dedupe{RuleContent, k.sum()}
}

// contentKey is the key under RuleContent of an event that its name, account and
// these fields make unique: a call's id, timestamp and other leg (a call may be
// bridged to two legs within one second), a stream's id and timestamp. The hook is left out: the same event through two hooks,
// say while one replaces the other, is one event. Where id or timestamp is
// missing the event is known by its delivery only.
func (s *scan) contentKey(r *Record, id, timestamp, other []byte) Dedupe {
	if len(id) == 0 || len(timestamp) == 0 {
		return deliveryKey(r)
	}
	k := newKey(r.Event)
	k.add(r.AccountID)
	var buf [maxFact]byte
	k.add(string(s.appendText(buf[:0], id)))
	k.add(string(s.appendText(buf[:0], timestamp)))
	k.add(string(s.appendText(buf[:0], other)))
	return Dedupe{RuleContent, k.sum()}
}

// keyBuilder collects the parts of a key, each with its length so that no two
// lists of parts look the same. The hash is SHA-256: what callers choose (a caller
// id, a message) must not be able to make two events look like one.
type keyBuilder struct {
	n   int
	buf [256]byte
	big []byte // instead of buf, once that is full
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
