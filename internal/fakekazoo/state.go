package fakekazoo

import (
	"encoding/json"
	"time"
)

// State is the fake's state at one time.
type State struct {
	Version  string          `json:"version"`
	Now      time.Time       `json:"now"`       // Kazoo's clock
	InFlight int             `json:"in_flight"` // firings under way
	Sessions int             `json:"sessions"`
	Accounts []AccountState  `json:"accounts"`
	Hooks    []HookState     `json:"hooks"`
	Faults   []Fault         `json:"faults"`
	Outcomes map[Outcome]int `json:"outcomes"` // of all firings so far
}

// AccountState is an account and how much is in it.
type AccountState struct {
	Account
	Objects  map[string]int `json:"objects"` // by kind
	Attempts int            `json:"attempts"`
}

// HookState is a hook as the API shows it, and what the API does not show.
type HookState struct {
	ID            string          `json:"id"`
	AccountID     string          `json:"account_id"`
	Enabled       bool            `json:"enabled"`
	DisableReason string          `json:"disable_reason,omitempty"`
	URI           string          `json:"uri"`
	Failures      int             `json:"failures"` // that count against it now; 6 disable it
	Attempts      int             `json:"attempts"` // on record
	Detail        json.RawMessage `json:"detail"`
}

// State returns the current state.
func (k *Kazoo) State() State {
	s := State{
		Version: k.version.String(), Now: k.clock.now(), InFlight: k.flight.count(), Faults: k.Faults(),
		Accounts: []AccountState{}, Hooks: []HookState{}, Outcomes: k.Truth().Outcomes,
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	s.Sessions = len(k.sessions)
	for _, a := range k.order {
		as := AccountState{Account: a.Account, Objects: map[string]int{}, Attempts: len(a.attempts)}
		byHook := map[string]int{}
		for _, at := range a.attempts {
			byHook[at.hookID]++
		}
		for path, c := range a.objects {
			as.Objects[path] = len(c.live())
		}
		s.Accounts = append(s.Accounts, as)
		for _, h := range k.hooksOf(a) {
			s.Hooks = append(s.Hooks, HookState{
				ID: h.id, AccountID: a.ID, Enabled: h.enabled(), DisableReason: h.disableReason, URI: h.uri(),
				Failures: k.recentFailures(h.id), Attempts: byHook[h.id], Detail: appendJSON(nil, k.detail(h), jsonCompact),
			})
		}
	}
	return s
}

// Hooks lists the hooks of all accounts.
func (k *Kazoo) Hooks() []HookState { return k.State().Hooks }
