package tracing

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// reportPause is the shortest time between two log lines about failures.
const reportPause = time.Minute

// throttled logs the errors of the SDK, which may report one for each batch.
type throttled struct {
	log  zerolog.Logger
	mask func(string) string
	now  func() time.Time

	mu   sync.Mutex
	last time.Time
	held int // reports since that were not logged
}

func newThrottled(log zerolog.Logger, mask func(string) string, now func() time.Time) *throttled {
	return &throttled{log: log, mask: mask, now: now}
}

// Handle implements otel.ErrorHandler.
func (t *throttled) Handle(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if !t.last.IsZero() && now.Sub(t.last) < reportPause {
		t.held++
		return
	}
	t.log.Warn().Str("error", t.mask(err.Error())).Int("not_logged", t.held).
		Msg("traces could not be exported (OTEL_EXPORTER_OTLP_ENDPOINT); events are not affected")
	t.last, t.held = now, 0
}
