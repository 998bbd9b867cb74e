package handlers

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"
	"time"

	"kazoohook/internal/event"
)

// secrets are the path segments that prove that a request comes from Kazoo.
type secrets struct {
	current, previous [sha256.Size]byte
	any, two          bool
	others            [][sha256.Size]byte
	texts             []string // for masking only
}

type secretMatch int

const (
	noSecret secretMatch = iota
	currentSecret
	previousSecret
)

func newSecrets(current, previous string, others ...string) secrets {
	s := secrets{any: current != "", two: previous != ""}
	s.current, s.previous = sha256.Sum256([]byte(current)), sha256.Sum256([]byte(previous))
	for _, t := range append([]string{current, previous}, others...) {
		if t != "" {
			s.texts = append(s.texts, t)
		}
	}
	for _, t := range others {
		if t != "" {
			s.others = append(s.others, sha256.Sum256([]byte(t)))
		}
	}
	return s
}

// match compares in constant time. It compares hashes, so the time reveals neither
// length nor common prefix.
func (s *secrets) match(given string) secretMatch {
	var buf [256]byte
	sum := sha256.Sum256(append(buf[:0], given...))
	current := subtle.ConstantTimeCompare(sum[:], s.current[:]) == 1
	previous := subtle.ConstantTimeCompare(sum[:], s.previous[:]) == 1
	other := 0
	for i := range s.others {
		other |= subtle.ConstantTimeCompare(sum[:], s.others[i][:])
	}
	switch {
	case s.any && current, other == 1:
		return currentSecret
	case s.two && previous:
		return previousSecret
	}
	return noSecret
}

// mask masks the secrets in a text for the log.
func (s *secrets) mask(text string) string {
	for _, t := range s.texts {
		text = strings.ReplaceAll(text, t, "***")
	}
	return text
}

// signatures verifies the signatures of Kazoo 5: it signs the requests of version 2
// hooks that have a key (internal/event, VerifyHMAC).
type signatures struct {
	keys func(hookID string) (keys [][]byte, since time.Time, signed bool) // see PublicDeps; nil: no hook has any
}

// oldForm is how long a hook's requests may still be unsigned after it got its key.
// Kazoo resends requests from before that: for some seconds, or for as long as we ask
// it to resend.
const oldForm = 10 * time.Minute

// of judges the signature of a routed request. The request had the right hook
// secret, so the hooks that have keys are ours.
//
// A request without an envelope of version 2 (a form, or JSON of version 1) was
// sent before the hook had its key. After oldForm it counts as a wrong signature.
// Kazoo 5 builds the envelope for the deletion of an account in separate code
// (kazoo 5 applications/webhooks), and it is not known whether that code signs.
// Without a signature such a deletion is accepted, so that it isn't lost.
//
// A hook of ours without a key is not judged by the others: its requests are unsigned.
// But once hooks of ours sign, a request that names no hook of ours counts as wrong,
// so also that of a callflow's webhook action. Otherwise an attacker with the secret
// could leave out the hook's id instead of signing. A right signature always counts
// if a hook is named: the hook may not be known yet.
func (s *signatures) of(rec event.Record, now time.Time) event.Signature {
	if s.keys == nil {
		return event.Unsigned
	}
	keys, since, signs := s.keys(rec.HookID)
	established := !since.IsZero() && now.Sub(since) > oldForm
	mismatch := false
	for _, key := range keys {
		switch err := event.VerifyHMAC(rec.Body, string(key)); {
		case err == nil:
			return event.SignedRight
		case errors.Is(err, event.ErrHMACMismatch):
			mismatch = true
		}
	}
	switch {
	case signs && mismatch:
		return event.SignedWrong
	case signs && rec.ObjectType == "account" && rec.Action == event.Deleted:
		return event.Unsigned
	case signs && event.Enveloped(rec.Body), established:
		return event.SignedWrong
	}
	return event.Unsigned
}
