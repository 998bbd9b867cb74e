package trial

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// destination is a destination of the receiver: a server of this process, a shell
// script, or a broker. Each fails in its own way during the faults, and accepts
// everything afterwards.
type destination struct {
	name, order string
	poison      bool // refuses one event in eight, always
	sorts       []mode

	mu       sync.Mutex
	mode     mode
	random   *rand.Rand
	arrivals []arrival
	addr     string
	server   *http.Server // nil while it has vanished
	dir      string       // of a script; otherwise ""

	broker   broker // nil: a server or a script
	process  server // of the broker
	host     *host  // of the broker
	troubles []span // spans in which the broker may have accepted nothing
}

// mode is how a destination treats attempts.
type mode string

// The modes.
const (
	takes    mode = "takes"
	fails    mode = "fails"    // every second attempt, with any failing status
	hangs    mode = "hangs"    // longer than the receiver waits
	vanished mode = "vanished" // it doesn't listen
	slow     mode = "slow"
)

// arrival is one attempt at a destination.
type arrival struct {
	event Event
	at    time.Time
	ok    bool // the answer was success
	late  bool // the answer was so late that the receiver may have given up
}

// destinationTimeout is how long the receiver waits for an answer.
const destinationTimeout = 2 * time.Second

// listen begins to serve, at its previous address if it had one.
func (d *destination) listen(ctx context.Context) error {
	var lc net.ListenConfig
	addr := d.addr
	if addr == "" {
		found, err := FreeAddrs(ctx, 1)
		if err != nil {
			return err
		}
		addr = found[0]
	}
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("bind the destination %s: %w", d.name, err)
	}
	server := &http.Server{Handler: d, ReadHeaderTimeout: time.Minute}
	d.addr, d.server = addr, server
	go func() { _ = server.Serve(ln) }() // ends with Close
	return nil
}

// ServeHTTP handles an attempt.
func (d *destination) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	e, err := ParseEvent(body)
	if err != nil {
		http.Error(w, "no event", http.StatusBadRequest)
		return
	}
	status, wait, n := d.take(e)
	if wait > 0 {
		Sleep(r.Context(), wait)
	}
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.arrivals[n].late = r.Context().Err() != nil || time.Since(start) > destinationTimeout/4
}

// take decides the answer to an attempt and records it.
func (d *destination) take(e Event) (status int, wait time.Duration, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	status = http.StatusOK
	switch d.mode {
	case fails:
		all := []int{200, 200, 200, 200, 400, 404, 429, 500, 503}
		status = all[d.random.IntN(len(all))]
	case hangs:
		status, wait = http.StatusGatewayTimeout, 3*destinationTimeout
	case slow:
		wait = between(d.random, 0, 100*time.Millisecond)
	}
	if d.poison && poisonous(e) {
		status = http.StatusBadRequest
	}
	d.arrivals = append(d.arrivals, arrival{event: e, at: time.Now(), ok: status == http.StatusOK})
	return status, wait, len(d.arrivals) - 1
}

// poisonous reports whether an event is always refused by a poisoned destination.
func poisonous(e Event) bool {
	return e.ObjectID != "" && e.ObjectID[len(e.ObjectID)-1] < '2'
}

// script reads an event and stores it, like a simple script of an operator.
const script = `IFS= read -r line # which ends without a newline
[ -n "$line" ] || exit 9
[ -e "$0/hangs" ] && exec sleep 60
[ -e "$0/fails" ] && [ $(( $(date +%N | sed 's/^0*//') / 1000 % 2 )) = 0 ] && exit 3
printf '%s %s\n' "$(date +%s%N)" "$line" >> "$0/taken"
`

// set changes the mode of a destination.
func (d *destination) set(ctx context.Context, m mode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.mode
	d.mode = m
	if d.broker != nil {
		return d.setBroker(ctx, was, m)
	}
	if d.dir != "" {
		for _, name := range []mode{hangs, fails} {
			if err := os.RemoveAll(filepath.Join(d.dir, string(name))); err != nil {
				return err
			}
		}
		if m == takes {
			return nil
		}
		return os.WriteFile(filepath.Join(d.dir, string(m)), nil, 0o600)
	}
	switch {
	case m == vanished && d.server != nil:
		_ = d.server.Close() // cuts off attempts and answers under way
		Closed(ctx, d.addr)
		for i := len(d.arrivals) - 1; i >= 0 && time.Since(d.arrivals[i].at) < destinationTimeout; i-- {
			d.arrivals[i].late = true
		}
		d.server = nil
	case was == vanished && d.server == nil:
		return d.listen(ctx)
	}
	return nil
}

// seen returns all attempts, in order; for a broker, those that it accepted. wrong
// lists other violations.
func (d *destination) seen(ctx context.Context) (list []arrival, wrong []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.broker != nil:
		return d.seenByBroker(ctx)
	case d.dir != "":
		list, err = d.seenByScript()
		return list, nil, err
	}
	return d.arrivals, nil, nil
}

func (d *destination) seenByScript() ([]arrival, error) {
	f, err := os.Open(filepath.Join(d.dir, "taken"))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	var list []arrival
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		stamp, line, _ := strings.Cut(lines.Text(), " ")
		nanos, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("what the script wrote: %w", err)
		}
		e, err := ParseEvent([]byte(line))
		if err != nil {
			return nil, fmt.Errorf("what the script wrote: %w", err)
		}
		list = append(list, arrival{event: e, at: time.Unix(0, nanos), ok: true})
	}
	return list, lines.Err()
}
