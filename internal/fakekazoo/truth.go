package fakekazoo

import (
	"slices"
	"sync"
	"time"
)

// Outcome is how a firing ended, as far as the receiver can have seen it.
type Outcome string

// The outcomes of a firing.
const (
	OutcomeDelivered  Outcome = "delivered"  // answered with success
	OutcomeRefused    Outcome = "refused"    // answered otherwise: final
	OutcomeExhausted  Outcome = "exhausted"  // every try ended in a transport error
	OutcomeRedirected Outcome = "redirected" // a POST that became a GET: lost, though Kazoo thinks it delivered
	OutcomeCrashed    Outcome = "crashed"    // Kazoo's encoder died: nothing sent, nothing recorded
	OutcomeDropped    Outcome = "dropped"    // the webhooks application was down: nothing recorded
	OutcomeAborted    Outcome = "aborted"    // the fake was closed in the middle
)

// Firing is one event sent to one hook.
type Firing struct {
	EventID       string    `json:"event_id"` // as in the attempts
	Event         string    `json:"event"`    // "user.doc_deleted", "channel_create", "notifications.new_user"
	Hook          string    `json:"hook"`
	HookID        string    `json:"hook_id"`
	HookAccountID string    `json:"hook_account_id"`
	AccountID     string    `json:"account_id"` // where it happened
	ObjectType    string    `json:"object_type,omitempty"`
	ObjectID      string    `json:"object_id,omitempty"`
	Action        string    `json:"action,omitempty"`
	Outcome       Outcome   `json:"outcome"`
	Tries         int       `json:"tries"`   // that Kazoo made
	Resends       int       `json:"resends"` // by its HTTP client, on a Retry-After of the last try
	Status        int       `json:"status,omitempty"`
	ClientError   string    `json:"client_error,omitempty"`
	Started       time.Time `json:"started"`
	Ended         time.Time `json:"ended"`
	Node          string    `json:"node"`
	URI           string    `json:"-"` // of the hook at that time
	Body          []byte    `json:"-"` // as sent; of a GET the query

	node Node
}

// Deletion is an object that was deleted.
type Deletion struct {
	Type      string    `json:"type"`
	ID        string    `json:"id"`
	AccountID string    `json:"account_id"`
	Name      string    `json:"name"` // "Ann Lee" of a user
	At        time.Time `json:"at"`   // Kazoo's clock
}

// Truth is what really happened, to compare a receiver's events with. Objects
// that were undeleted are not among the deleted.
type Truth struct {
	Deleted      []Deletion      `json:"deleted"`
	Firings      []Firing        `json:"firings"` // the last 100,000
	Outcomes     map[Outcome]int `json:"outcomes"`
	AutoDisabled int             `json:"auto_disabled"` // times that Kazoo gave up on a hook
}

// keptFirings bounds what a demo that runs for days remembers.
const keptFirings = 100_000

type truth struct {
	mu      sync.Mutex
	deaths  []Deletion
	firings []Firing
	counts  map[Outcome]int
	gaveUp  int
}

func newTruth() *truth { return &truth{counts: map[Outcome]int{}} }

func (t *truth) fired(f Firing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[f.Outcome]++
	if len(t.firings) >= 2*keptFirings {
		t.firings = slices.Clone(t.firings[keptFirings:])
	}
	t.firings = append(t.firings, f)
}

func (t *truth) deleted(at time.Time, d *document) {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := d.body.str("name")
	if name == "" {
		name = d.body.str("first_name") + " " + d.body.str("last_name")
	}
	t.deaths = append(t.deaths, Deletion{Type: d.kind.typ, ID: d.id, AccountID: d.account.ID, Name: name, At: at})
}

func (t *truth) revived(d *document) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deaths = slices.DeleteFunc(t.deaths, func(g Deletion) bool { return g.ID == d.id && g.AccountID == d.account.ID })
}

func (t *truth) disabled() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gaveUp++
}

// Truth returns what happened so far.
func (k *Kazoo) Truth() Truth {
	t := k.truth
	t.mu.Lock()
	defer t.mu.Unlock()
	out := Truth{Deleted: slices.Clone(t.deaths), Outcomes: map[Outcome]int{}, AutoDisabled: t.gaveUp}
	out.Firings = slices.Clone(t.firings[max(0, len(t.firings)-keptFirings):])
	for o, n := range t.counts {
		out.Outcomes[o] = n
	}
	return out
}

// Deleted lists the deletions of one type ("user"), in their order.
func (k *Kazoo) Deleted(typ string) []Deletion {
	var out []Deletion
	for _, d := range k.Truth().Deleted {
		if d.Type == typ {
			out = append(out, d)
		}
	}
	return out
}
