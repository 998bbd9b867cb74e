package journal

import (
	"encoding/binary"
	"sync"
	"time"

	"kazoohook/internal/event"
)

const (
	// retryWindow is how long after an unanswered delivery Kazoo may still
	// repeat it: up to 5 tries, 2 s apart, of up to 10 s of connecting each
	// (kazoo 4.3 applications/webhooks/src/webhooks_util.erl).
	retryWindow = time.Minute
	// retryPause is Kazoo's pause between tries: an identical delivery that
	// comes sooner after one we are still answering isn't its repetition.
	retryPause = 2 * time.Second
	// maxUnacked bounds the memory; beyond it some are forgotten.
	maxUnacked = 1 << 16
	// maxListed is how many are listed on disk one by one.
	maxListed = 256
)

// deliveryKey recognises an identical delivery of the same hook. Action tells
// apart a created and a deleted event, which share their lifecycle key.
type deliveryKey struct {
	key    event.Key
	action event.Action
	hook   string
}

func keyOf(r *event.Record) deliveryKey { return deliveryKey{r.Dedupe.Key, r.Action, r.HookID} }

// unacked are the deliveries that are stored but whose 200 isn't known to have
// been written: Kazoo may send them again. Each absorbs one repetition at a
// time, so that of two identical edits both of which failed, both are
// recognised, while a third is a new event.
type unacked struct {
	now func() time.Time

	mu    sync.Mutex
	byKey map[deliveryKey]*delivery
	count int
}

type delivery struct {
	seq  int64
	at   time.Time // of the last try
	busy bool      // a try is being answered
	next *delivery // another with the same key
}

func newUnacked(now func() time.Time) *unacked {
	return &unacked{now: now, byKey: map[deliveryKey]*delivery{}}
}

// tracked says whether the outcome of the answer to r matters. A unique content
// needs none; the creation or deletion of an object does, because the same may
// truly happen again.
func tracked(r *event.Record) bool {
	switch r.Source {
	case event.SourceWebhook:
		return r.Dedupe.Rule != event.RuleContent
	case event.SourceRecovered:
		return r.Dedupe.Rule == event.RuleUnacknowledged
	}
	return false
}

// add notes a stored delivery that is being answered, or one whose answer is
// known to have failed.
func (u *unacked) add(k deliveryKey, seq int64, busy bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.count >= maxUnacked {
		u.expire()
	}
	if u.count >= maxUnacked { // still full: forget some
		for k := range u.byKey {
			if u.drop(k); u.count < maxUnacked*7/8 {
				break
			}
		}
	}
	u.byKey[k] = &delivery{seq: seq, at: u.now(), busy: busy, next: u.byKey[k]}
	u.count++
}

// claim finds the delivery that an identical one repeats, and notes that its
// repetition is now being answered.
func (u *unacked) claim(k deliveryKey) (d *delivery, undo delivery) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.now()
	for e := u.byKey[k]; e != nil; e = e.next {
		age := now.Sub(e.at)
		if age <= retryWindow && (!e.busy || age >= retryPause) {
			if d == nil || e.seq < d.seq {
				d = e
			}
		}
	}
	if d != nil {
		undo = *d
		d.at, d.busy = now, true
	}
	return d, undo
}

// restore takes a claim back.
func (u *unacked) restore(d *delivery, was delivery) {
	u.mu.Lock()
	defer u.mu.Unlock()
	d.at, d.busy = was.at, was.busy
}

// done notes the outcome of the answer.
func (u *unacked) done(k deliveryKey, seq int64, written bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for p, e := (*delivery)(nil), u.byKey[k]; e != nil; p, e = e, e.next {
		if e.seq != seq {
			continue
		}
		switch {
		case !written:
			e.at, e.busy = u.now(), false
			return
		case p != nil:
			p.next = e.next
		case e.next != nil:
			u.byKey[k] = e.next
		default:
			delete(u.byKey, k)
		}
		u.count--
		return
	}
}

// refused extends the window of the deliveries that an identical one, which we
// couldn't take, may have repeated.
func (u *unacked) refused(k deliveryKey) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.now()
	for e := u.byKey[k]; e != nil; e = e.next {
		if !e.busy && now.Sub(e.at) <= retryWindow {
			e.at = now
		}
	}
}

// expire drops what is beyond the window.
func (u *unacked) expire() {
	now := u.now()
	for k, e := range u.byKey {
		old := true
		for ; e != nil; e = e.next {
			old = old && now.Sub(e.at) > retryWindow
		}
		if old {
			u.drop(k)
		}
	}
}

func (u *unacked) drop(k deliveryKey) {
	for e := u.byKey[k]; e != nil; e = e.next {
		u.count--
	}
	delete(u.byKey, k)
}

func (u *unacked) sweep() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.expire()
}

// list encodes which events are unacknowledged, for the time after a crash:
// a varint each, or, if they are too many, 0 and the smallest, meaning all from
// there on. It is stored in the last row of each transaction, where it costs no
// page and no sync of its own; more are those that the transaction itself adds.
func (u *unacked) list(more []opened) (dst []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := u.count+len(more) > maxListed
	least := int64(0)
	note := func(seq int64) {
		if !all {
			dst = binary.AppendVarint(dst, seq)
		} else if least == 0 || seq < least {
			least = seq
		}
	}
	for _, e := range u.byKey {
		for ; e != nil; e = e.next {
			note(e.seq)
		}
	}
	for _, o := range more {
		note(o.seq)
	}
	if all {
		dst = binary.AppendVarint(append(dst, 0), least)
	}
	return dst
}

// parseUnacked reads what list wrote.
func parseUnacked(b []byte) (seqs []int64, from int64) {
	for len(b) > 0 {
		v, n := binary.Varint(b)
		if n <= 0 {
			return seqs, from
		}
		b = b[n:]
		if v == 0 {
			from, _ = binary.Varint(b)
			return seqs, from
		}
		seqs = append(seqs, v)
	}
	return seqs, 0
}
