package fakekazoo

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"sync"
)

// random is a seeded source for concurrent use.
type random struct {
	mu  sync.Mutex
	src *rand.Rand
}

func newRandom(seed uint64) *random {
	return &random{src: rand.New(rand.NewPCG(seed, 0x6b617a6f6f))} //nolint:gosec // repeatable on purpose
}

// hex returns n random bytes in hexadecimal; ids are 16 of them, event ids 5
// (kz_binary:rand_hex).
func (r *random) hex(n int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b []byte
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, r.src.Uint64())
	}
	return hex.EncodeToString(b[:n])
}

func (r *random) intn(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.src.IntN(n)
}

// chance is true with probability p.
func (r *random) chance(p float64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.src.Float64() < p
}

// exp is exponentially distributed with mean 1.
func (r *random) exp() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.src.ExpFloat64()
}

func pick[T any](r *random, list []T) T { return list[r.intn(len(list))] }
