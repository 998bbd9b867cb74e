package measure

import (
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	t.Parallel()
	if got := spreadOf([]float64{3, 1, 2}).String(); got != "2 (1-3)" {
		t.Errorf("%q", got)
	}
	if got := spreadOf([]float64{1234.5}).String(); got != "1234" {
		t.Errorf("%q", got)
	}
	if got := spreadOf(nil); got != (Spread{}) {
		t.Errorf("%v", got)
	}
	half := func(f float64) float64 { return f }
	if got := ratios([]float64{2, 9}, []float64{1, 3}, half); got != (Spread{3, 2, 3}) {
		t.Errorf("%v", got)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	times := []time.Duration{1, 2, 3, 4}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.99: 4, 1: 4} {
		if got := quantile(times, q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
}

func TestReceivedAt(t *testing.T) {
	t.Parallel()
	at, ok := receivedAt([]byte(`{"level":"info","received_at":"2026-01-02T03:04:05.000000006Z","data":{}}`))
	if !ok || at.Nanosecond() != 6 {
		t.Errorf("%v, %t", at, ok)
	}
	if _, ok := receivedAt([]byte(`{"level":"info"}`)); ok {
		t.Error("found where there is none")
	}
}

// The ways of decoding that are compared must do the same work.
func TestHandWritten(t *testing.T) {
	t.Parallel()
	fields := handWritten(objectForm)
	if fields[0] != "5f1e2d3c4b5a69788796a5b4c3d2e1f0" || fields[5] != "Tenant 7 & sons" {
		t.Errorf("%q", fields)
	}
}
