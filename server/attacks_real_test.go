//go:build real

package server_test

import (
	"testing"
	"time"
)

// TestNoAttackKeepsKazooOutAtFullSize uses the default number of connections and four
// times as many strangers. It needs some 13,000 open files.
func TestNoAttackKeepsKazooOutAtFullSize(t *testing.T) {
	worst := attacks()
	for name := range worst {
		switch name {
		case "silent", "healthz, body missing", "wrong secret, body", "wrong secret, large body", "answers never read":
		default:
			delete(worst, name)
		}
	}
	crowd{senders: 100, requests: 20, pause: 100 * time.Millisecond, strangers: 8, held: 1000}.trials(t, worst)
}
