package journal

import (
	"context"
	"slices"
	"strconv"
	"sync"
)

// outbox holds requests on their way to the log. Requests that wait at the same moment
// become one entry and share its round trip and its syncs, as the commands of one
// transaction do on a single node.
type outbox struct {
	wake signal // while there may be something

	mu   sync.Mutex
	list []*sending
}

// sending is one request in the outbox.
type sending struct {
	number uint64
	data   []byte
	sent   chan error // gets one value: nil once the log has it
}

const (
	// senders is how many entries of requests are on their way at once. With two, a
	// request that comes just after an entry was sent doesn't wait for the answer to
	// it. mostTogether and mostTogetherBytes limit an entry.
	senders                         = 2
	mostTogether, mostTogetherBytes = 256, 512 << 10
)

func (o *outbox) put(s *sending) {
	o.mu.Lock()
	o.list = append(o.list, s)
	o.mu.Unlock()
	o.wake.signal()
}

// withdraw takes back a request that nobody waits for any more, unless it is being
// sent.
func (o *outbox) withdraw(s *sending) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.Index(o.list, s); i >= 0 {
		o.list = slices.Delete(o.list, i, i+1)
	}
}

// take takes what goes into the next entry.
func (o *outbox) take() []*sending {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, bytes := 0, 0
	for n < len(o.list) && n < mostTogether && (n == 0 || bytes+len(o.list[n].data) <= mostTogetherBytes) {
		bytes += len(o.list[n].data)
		n++
	}
	taken := slices.Clone(o.list[:n])
	if o.list = slices.Delete(o.list, 0, n); len(o.list) > 0 {
		o.wake.signal()
	}
	return taken
}

// together gives a request to the log, in one entry with other waiting requests.
func (p *proposer) together(ctx context.Context, k *work) error {
	data, err := p.codec.encode(k.entry.envelope, k.cmd)
	if err != nil {
		return err
	}
	s := &sending{number: k.entry.Number, data: data, sent: make(chan error, 1)}
	p.outbox.put(s)
	select {
	case err := <-s.sent:
		return err
	case <-ctx.Done():
	}
	p.outbox.withdraw(s)
	if p.ctx.Err() != nil {
		return ErrClosed
	}
	return ctx.Err()
}

// send sends what is in the outbox.
func (p *proposer) send() {
	for {
		select {
		case <-p.outbox.wake:
		case <-p.ctx.Done():
			return
		}
		list := p.outbox.take()
		if len(list) == 0 {
			continue
		}
		data := list[0].data
		for _, s := range list[1:] {
			data = append(data, s.data...)
		}
		err := p.give(p.ctx, list[0].number, data)
		for _, s := range list {
			s.sent <- err
		}
	}
}

// name names an entry: the same at each try, and different for each entry.
func (p *proposer) name(number uint64) string {
	return p.c.Boot + "-" + strconv.FormatUint(number, 10)
}
