//go:build real

package delivery

import (
	"testing"
	"time"
)

// until repeats Send until the event is delivered.
func until(t *testing.T, s Sender, id string) {
	t.Helper()
	var r Result
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if r = s.Send(t.Context(), brokerMessage(id)); r.Err == nil {
			return
		}
	}
	t.Fatalf("%s was not delivered: %v", id, r.Err)
}
