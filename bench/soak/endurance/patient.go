package endurance

import (
	"errors"
	"maps"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// patient brings Kazoo's deliveries to the receiver like a proxy in front of it
// that waits for a restart instead of refusing. Without it Kazoo would switch
// every hook off at every restart, since at this rate there are more than its
// six failures a minute, and send nothing for most of the time.
type patient struct {
	*http.Transport
	wait time.Duration // at most

	mu     sync.Mutex
	broken map[string]int // tries that failed, by the reason
}

func newPatient() *patient {
	return &patient{Transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 10 * time.Second}, wait: 30 * time.Second, broken: map[string]int{}}
}

// RoundTrip tries again while nobody listens.
func (p *patient) RoundTrip(req *http.Request) (*http.Response, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(p.wait); ; {
		resp, err := p.Transport.RoundTrip(req)
		// Nothing was read of the body yet, so that the request can be sent again.
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(end) {
			p.note(err)
			return resp, err
		}
		select {
		case <-tick.C:
		case <-req.Context().Done():
			return nil, err
		}
	}
}

func (p *patient) note(err error) {
	if err == nil {
		return
	}
	reason := err.Error()
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		reason = op.Op + ": " + op.Err.Error() // without the addresses
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken[reason]++
}

// failures counts the tries that failed, by the reason.
func (p *patient) failures() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.broken)
}
