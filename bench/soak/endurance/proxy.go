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

// waitingProxy passes Kazoo's requests to the receiver, like a proxy that waits
// for a restart instead of refusing. Without it, every restart would cause more than
// six failures a minute at this rate. Kazoo would switch every hook off and send
// nothing for most of the time.
type waitingProxy struct {
	*http.Transport
	wait time.Duration // at most

	mu     sync.Mutex
	broken map[string]int // tries that failed, by the reason
}

func newWaitingProxy() *waitingProxy {
	return &waitingProxy{Transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 10 * time.Second}, wait: 30 * time.Second, broken: map[string]int{}}
}

// RoundTrip tries again while the receiver doesn't listen.
func (p *waitingProxy) RoundTrip(req *http.Request) (*http.Response, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(p.wait); ; {
		resp, err := p.Transport.RoundTrip(req)
		// If refused, none of the body was read, so the request can be sent again.
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

func (p *waitingProxy) note(err error) {
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
func (p *waitingProxy) failures() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.broken)
}
