package fakekazoo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	FaultEndless  FaultKind = "endless"  // a listing never ends: every page is full of rows that were never seen
	FaultBomb     FaultKind = "bomb"     // a listing of Size bytes, compressed to a thousandth
	FaultDrip     FaultKind = "drip"     // the answer comes a byte at a time, one each Delay
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
	Op string `json:"op,omitempty"`
	// Account limits a fault of the API to the resources of one account, by id.
	Account     string        `json:"account,omitempty"`
	Probability float64       `json:"probability,omitempty"`  // 0 is always
	Count       int           `json:"count,omitempty"`        // how often it strikes; 0 is until cleared
	Status      int           `json:"status,omitempty"`       // of FaultStatus; default 503
	Delay       time.Duration `json:"-"`                      // of FaultSlow, FaultSlowDelivery and FaultDrip, in real time; in JSON a string, "1.5s"
	For         time.Duration `json:"-"`                      // how long it can strike, in real time from Inject on; 0 is until cleared; in JSON a string
	Size        int64         `json:"size,omitempty"`         // of FaultBomb, in bytes; default 1 GiB
	ClientError string        `json:"client_error,omitempty"` // of FaultRefuse
	Struck      int           `json:"struck"`                 // how often it has struck
}

// faultJSON is a fault in JSON, with durations as strings.
type faultJSON struct {
	fault
	Delay string `json:"delay,omitempty"`
	For   string `json:"for,omitempty"`
}

// fault is a Fault without its methods.
type fault Fault

// MarshalJSON writes the durations as strings.
func (f Fault) MarshalJSON() ([]byte, error) {
	j := faultJSON{fault: fault(f)}
	if f.Delay > 0 {
		j.Delay = f.Delay.String()
	}
	if f.For > 0 {
		j.For = f.For.String()
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
	var errs [2]error
	f.Delay, errs[0] = duration(j.Delay)
	f.For, errs[1] = duration(j.For)
	return errors.Join(errs[:]...)
}

// duration reads a duration; none is 0.
func duration(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	return time.ParseDuration(s)
}

func faultKinds() []FaultKind {
	return []FaultKind{
		FaultDown, FaultSlow, FaultStatus, FaultGarbage, FaultLose, FaultTruncate, FaultOmit, FaultRepeat, FaultCutList,
		FaultEndless, FaultBomb, FaultDrip,
		FaultRefuse, FaultLoseAnswer, FaultSlowDelivery, FaultAppDown,
	}
}

type faultSet struct {
	rand *random
	mu   sync.Mutex
	next int
	list []*Fault
	ends map[string]time.Time // of those with a For, by id
}

func newFaultSet(r *random) *faultSet { return &faultSet{rand: r, ends: map[string]time.Time{}} }

// expire removes expired faults.
func (s *faultSet) expire() {
	now := time.Now()
	s.list = slices.DeleteFunc(s.list, func(f *Fault) bool {
		end, limited := s.ends[f.ID]
		return limited && !now.Before(end)
	})
}

// take reports whether a fault of the kind strikes now, outside the resources of
// accounts.
func (s *faultSet) take(kind FaultKind, op string) (Fault, bool) { return s.takeIn("", kind, op) }

// takeIn reports whether a fault strikes in an account, and counts the first one
// that does.
func (s *faultSet) takeIn(account string, kind FaultKind, op string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	for i, f := range s.list {
		if f.Kind != kind || (f.Account != "" && f.Account != account) {
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

// Inject adds a fault and returns its id. Several faults may be active. Among
// faults of one kind the oldest matching one strikes.
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
	setDefault(&f.Size, 1<<30)
	if f.For > 0 {
		s.ends[f.ID] = time.Now().Add(f.For)
	}
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
	k.faults.expire()
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
