package registration

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// HookState is the durable state of one of our hooks, stored as JSON.
type HookState struct {
	ID     string            `json:"id"`
	Proven time.Time         `json:"proven,omitzero"`  // it is proven to have fired until then
	Set    map[string]string `json:"set,omitempty"`    // its settings when it was last as wanted; secret ones as digests
	URIs   []string          `json:"uris,omitempty"`   // digests of the addresses that we gave it, the newest last
	Saves  int               `json:"saves,omitempty"`  // revision of its document when it was last as wanted
	Signed bool              `json:"signed,omitempty"` // it has one of our keys
	Unkept map[string]Unkept `json:"unkept,omitempty"` // settings that Kazoo doesn't store as asked, by field
	// SignedSince is when a pass first saw it with one of our keys, or gave it one.
	SignedSince time.Time `json:"signed_since,omitzero"`
	// For the next leader of a cluster: why the time since Proven isn't proven, since
	// when if that began before, and when the outage before it ended.
	Broken []string  `json:"broken,omitempty"`
	From   time.Time `json:"from,omitzero"`
	Closed time.Time `json:"closed,omitzero"`
}

// hookStates is the durable state of the hooks of one account.
type hookStates struct {
	Began  time.Time            `json:"began"`           // when this journal began to follow the hooks; zero: some were there before
	Judged time.Time            `json:"judged,omitzero"` // the newest failed attempt that was judged
	Hooks  map[string]HookState `json:"hooks"`           // by name
	// For the next leader of a cluster: in which span of listening that was, when a
	// pass last saw the hooks, and when the last comparison began and whether it failed
	// for some accounts or types.
	Span     string    `json:"span,omitempty"`
	Passed   time.Time `json:"passed,omitzero"`
	Compared time.Time `json:"compared,omitzero"`
	Partly   bool      `json:"partly,omitempty"`
}

const (
	statesKey  = "registration.hooks."
	accountKey = "registration.account" // the account whose hooks were followed last
)

// prepare reads the durable state. begun is the time since which the journal has
// followed the hooks; zero: some were there before.
func (p *proofs) prepare(ctx context.Context, account string, begun time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.account == account {
		return nil
	}
	saved, err := p.store.State(ctx, statesKey+account)
	if err != nil {
		return fmt.Errorf("read what is known of the hooks: %w", err)
	}
	states := hookStates{Began: begun}
	if saved != "" {
		if err := json.Unmarshal([]byte(saved), &states); err != nil {
			states = hookStates{} // treat unreadable state like none
		}
	}
	if states.Hooks == nil {
		states.Hooks = map[string]HookState{}
	}
	if p.listening != nil {
		if p.span, err = p.listening(ctx); err != nil {
			return fmt.Errorf("read since when the cluster has listened: %w", err)
		}
	}
	if p.goesOn = p.span != "" && states.Span == p.span; p.goesOn {
		p.lastPass = states.Passed
	}
	p.account, p.states = account, states
	return nil
}

// save makes the state durable.
func (p *proofs) save(ctx context.Context) error {
	p.saving.Lock() // states are written in order
	defer p.saving.Unlock()
	p.mu.Lock()
	if p.span != "" {
		p.states.Span, p.states.Passed = p.span, p.lastPass
	}
	raw, err := json.Marshal(p.states)
	account := p.account
	p.mu.Unlock()
	if err == nil && account != "" {
		err = p.store.SetState(ctx, statesKey+account, string(raw))
	}
	if err == nil && account != p.saved {
		p.saved = account
		err = p.store.SetState(ctx, accountKey, account)
	}
	if err != nil {
		return fmt.Errorf("save what is known of the hooks: %w", err)
	}
	return nil
}

// judgedUntil returns the time of the newest failed attempt that an earlier process
// judged; zero once everything recorded before the start has been read. The time
// alone doesn't tell new attempts from old ones, because Kazoo's nodes have
// separate clocks.
func (p *proofs) judgedUntil() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.whole {
		return time.Time{}
	}
	return p.states.Judged
}

// judgedTo records a judged attempt.
func (p *proofs) judgedTo(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.states.Judged = later(p.states.Judged, at)
}

// compared notes when a comparison began that succeeded, at least in part.
func (p *proofs) compared(began time.Time, complete bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.span != "" {
		p.states.Compared, p.states.Partly = began, !complete
	}
}

// comparedBefore returns when an earlier leader's last comparison began; zero if it
// doesn't cover everything until this process began. complete: it failed for nothing. ok
// is false until that is known.
func (p *proofs) comparedBefore() (began time.Time, complete, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.goesOn {
		return began, false, p.account != ""
	}
	for _, h := range p.states.Hooks {
		if len(h.Broken) > 0 || !h.Closed.Before(p.states.Compared) {
			return began, false, true
		}
	}
	return p.states.Compared, !p.states.Partly, true
}

// names returns the hooks with durable state.
func (p *proofs) names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.states.Hooks))
}

// Signed returns which hooks have one of our keys, according to the journal. It is
// for a process that doesn't reconcile the hooks itself, and for requests that arrive
// before its first pass.
func Signed(ctx context.Context, store interface {
	State(ctx context.Context, key string) (string, error)
}) SignedHooks {
	ids := SignedHooks{}
	account, err := store.State(ctx, accountKey)
	if err != nil || account == "" {
		return ids // the journal says what is wrong
	}
	saved, err := store.State(ctx, statesKey+account)
	var states hookStates
	if err != nil || json.Unmarshal([]byte(saved), &states) != nil {
		return ids
	}
	for _, h := range states.Hooks {
		if h.ID != "" {
			ids[h.ID] = Signing{h.Signed, h.SignedSince}
		}
	}
	return ids
}

// known returns the durable state of a hook.
func (p *proofs) known(name string) HookState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.states.Hooks[name]
}
