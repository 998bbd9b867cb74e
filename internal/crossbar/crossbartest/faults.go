package crossbartest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"sync"
	"time"
)

// FaultKind is a way to fail.
type FaultKind string

// Faults of the API.
const (
	FaultDown     FaultKind = "down"     // the connection is closed without an answer, nothing is done
	FaultSlow     FaultKind = "slow"     // the answer takes Delay longer
	FaultStatus   FaultKind = "status"   // an answer with Status (401, 429, 409, 5xx, ...) in Kazoo's error shape, nothing is done
	FaultGarbage  FaultKind = "garbage"  // a 200 that is not JSON, nothing is done
	FaultLose     FaultKind = "lose"     // the request is carried out, its answer lost
	FaultTruncate FaultKind = "truncate" // the answer's body ends in the middle
	FaultOmit     FaultKind = "omit"     // a listing leaves every row out with a chance of a half
	FaultRepeat   FaultKind = "repeat"   // a listing's next_start_key is the start_key of the same page
	FaultCutList  FaultKind = "cutlist"  // a listing ends early, as if there were no more pages
)

// Faults of the webhooks application.
const (
	FaultRefuse       FaultKind = "refuse"        // no connection: ClientError, default "failed_connect: econnrefused"
	FaultLoseAnswer   FaultKind = "lose_answer"   // the receiver gets the event, Kazoo does not get the answer
	FaultSlowDelivery FaultKind = "slow_delivery" // the event leaves Delay later
	FaultAppDown      FaultKind = "app_down"      // events are lost without a record
)

// Fault is something that goes wrong, always, a number of times, or by chance.
type Fault struct {
	ID   string    `json:"id"` // given by Inject if empty
	Kind FaultKind `json:"kind"`
	// Op limits a fault of the API to operations ("users.list", "webhooks.*",
	// "login"; see docs/fake.md) and one of deliveries to hooks ("object",
	// "channel_*"). Empty: all.
	Op          string        `json:"op,omitempty"`
	Probability float64       `json:"probability,omitempty"`  // 0 is always
	Count       int           `json:"count,omitempty"`        // how often it strikes; 0 is until cleared
	Status      int           `json:"status,omitempty"`       // of FaultStatus; default 503
	Delay       time.Duration `json:"-"`                      // of FaultSlow and FaultSlowDelivery, in real time; in JSON a string, "1.5s"
	ClientError string        `json:"client_error,omitempty"` // of FaultRefuse
	Struck      int           `json:"struck"`                 // how often it did
}

// faultJSON is a fault in JSON, its delay in words.
type faultJSON struct {
	fault
	Delay string `json:"delay,omitempty"`
}

// fault is a Fault without its methods.
type fault Fault

// MarshalJSON writes the delay as a string.
func (f Fault) MarshalJSON() ([]byte, error) {
	j := faultJSON{fault: fault(f)}
	if f.Delay > 0 {
		j.Delay = f.Delay.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON writes; an unknown field is an error.
func (f *Fault) UnmarshalJSON(b []byte) error {
	var j faultJSON
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&j); err != nil {
		return err
	}
	*f = Fault(j.fault)
	if j.Delay == "" {
		return nil
	}
	d, err := time.ParseDuration(j.Delay)
	f.Delay = d
	return err
}

func faultKinds() []FaultKind {
	return []FaultKind{
		FaultDown, FaultSlow, FaultStatus, FaultGarbage, FaultLose, FaultTruncate, FaultOmit, FaultRepeat, FaultCutList,
		FaultRefuse, FaultLoseAnswer, FaultSlowDelivery, FaultAppDown,
	}
}

type faultSet struct {
	rand *random
	mu   sync.Mutex
	next int
	list []*Fault
}

func newFaultSet(r *random) *faultSet { return &faultSet{rand: r} }

// take tells whether a fault of the kind strikes now. The first that does is
// counted.
func (s *faultSet) take(kind FaultKind, op string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.list {
		if f.Kind != kind {
			continue
		}
		if ok, _ := path.Match(f.Op, op); f.Op != "" && !ok {
			continue
		}
		if f.Probability > 0 && !s.rand.chance(f.Probability) {
			continue
		}
		f.Struck++
		if f.Count > 0 && f.Struck >= f.Count {
			s.list = slices.Delete(s.list, i, i+1)
		}
		return *f, true
	}
	return Fault{}, false
}

// Inject adds a fault and returns its id. Faults add up; of several of one kind
// the oldest that strikes does.
func (k *Kazoo) Inject(f Fault) (string, error) {
	if !slices.Contains(faultKinds(), f.Kind) {
		return "", fmt.Errorf("no fault %q; there are %v", f.Kind, faultKinds())
	}
	if _, err := path.Match(f.Op, ""); err != nil {
		return "", fmt.Errorf("fault's op %q: %w", f.Op, err)
	}
	s := k.faults
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	setDefault(&f.ID, "fault-"+strconv.Itoa(s.next))
	setDefault(&f.Status, 503)
	f.Struck = 0
	s.list = append(s.list, &f)
	return f.ID, nil
}

// ClearFault removes a fault; false if there is none of that id (any more).
func (k *Kazoo) ClearFault(id string) bool {
	s := k.faults
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.list)
	s.list = slices.DeleteFunc(s.list, func(f *Fault) bool { return f.ID == id })
	return len(s.list) < n
}

// ClearFaults removes all faults.
func (k *Kazoo) ClearFaults() {
	k.faults.mu.Lock()
	defer k.faults.mu.Unlock()
	k.faults.list = nil
}

// Faults lists the faults that may still strike.
func (k *Kazoo) Faults() []Fault {
	k.faults.mu.Lock()
	defer k.faults.mu.Unlock()
	out := []Fault{}
	for _, f := range k.faults.list {
		out = append(out, *f)
	}
	return out
}

// pause waits in real time; false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
