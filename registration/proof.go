package registration

import (
	"context"
	"slices"
	"sync"
	"time"

	"kazoohook/internal/crossbar"
)

// Sighting is the state of a wanted hook in one pass.
type Sighting struct {
	Name, ID string // ID empty: it doesn't exist
	At       time.Time
	Whole    bool   // all settings were read, not only the listing
	Undone   bool   // it fires as wanted, but somebody else has saved it since the last sighting
	Bad      string // why it may not have fired; "": it fires as wanted, or is new
	Hook     crossbar.Hook
	Unkept   map[string]Unkept
	Signed   time.Time // since when it has one of our keys; zero: it has none
}

// watched is what this process knows of a hook in addition to its durable state.
type watched struct {
	pass        int       // the last pass that saw it firing
	good        int       // passes in a row that saw it firing as wanted
	back        int       // passes in a row that saw it on and not changed, as far as it could be read
	backPass    int       // the last of these
	since, last time.Time // the first and the last of these
	broken      []string  // reasons why the time since the last proof isn't proven
	from        time.Time // start of the unproven time, if before the last proof
	bad         bool      // it was last seen not firing, or about to be created
	closed      time.Time // end of its last outage
}

// proofs decides which spans were outages of a hook: every span that isn't proven.
// A hook counts as firing between two passes that both saw it enabled and as wanted.
// Kazoo's record, read after the second pass, must show no switch-off or change in
// between. And the receiver must have been running: this process, or a cluster whose
// leaders follow each other without a break.
type proofs struct {
	store    Store
	now      func() time.Time
	interval time.Duration // between two passes

	saving sync.Mutex // held while the state is written
	saved  string     // the account that the journal holds as the last one; of saving

	mu       sync.Mutex
	account  string // whose hooks states are; "" not read yet
	states   hookStates
	hooks    map[string]*watched // by name
	lastPass time.Time           // the last pass that saw the hooks
	pass     int
	failed   int       // failed passes since
	changed  time.Time // the last time that a hook was not as wanted
	whole    bool      // this process has read the record back to the point that an earlier one reached

	listening func(context.Context) (string, error) // see EngineOptions; nil: since the start
	span      string                                // what listening returned last
	goesOn    bool                                  // an earlier leader's passes were in the same span
}

func newProofs(store Store, interval time.Duration, now func() time.Time) *proofs {
	return &proofs{store: store, interval: interval, now: now, hooks: map[string]*watched{}}
}

// missed records a pass that could not see the hooks.
func (p *proofs) missed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed++
}

const (
	mostFailed = 2 // passes in a row that may fail without an outage
	longestGap = 10 * time.Second
	keptURIs   = 5
)

// saw records a pass's view of the hooks. A pass that makes changes calls it again.
// It reports whether a hook was found broken, which the next leader has to know, and
// whether one is back after an outage: two passes have seen it on. The outage ends when
// more is proven, which may take long if Kazoo's record or the hook can't be read.
func (p *proofs) saw(pass int, list []Sighting) (broken, back bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	blind := ""
	if pass != p.pass && !p.lastPass.IsZero() {
		span := elapsed(p.lastPass, now)
		if p.failed > mostFailed || span > max(3*p.interval, longestGap) {
			blind = "the hooks could not be checked for " + span.Round(time.Second).String()
		}
	}
	p.pass, p.lastPass, p.failed = pass, now, 0
	wanted := make(map[string]bool, len(list))
	for _, s := range list {
		wanted[s.Name] = true
		before := len(p.states.Hooks[s.Name].Broken)
		back = p.sawHook(s, blind) || back
		broken = broken || before == 0 && len(p.keepBroken(s.Name)) > 0
	}
	for name := range p.hooks {
		if !wanted[name] {
			delete(p.hooks, name)
			delete(p.states.Hooks, name)
		}
	}
	return broken && p.span != "", back
}

// keepBroken copies a hook's current outage to its durable state: the next leader must
// not take that time for proven. It returns the reasons in the durable state.
func (p *proofs) keepBroken(name string) []string {
	w, state := p.hooks[name], p.states.Hooks[name]
	if _, known := p.states.Hooks[name]; known {
		state.Broken, state.From, state.Closed = w.broken, w.from, w.closed
		p.states.Hooks[name] = state
	}
	return state.Broken
}

func (p *proofs) sawHook(s Sighting, blind string) (back bool) {
	state, known := p.states.Hooks[s.Name]
	w := p.hooks[s.Name]
	if w == nil {
		w = &watched{}
		p.hooks[s.Name] = w
		switch {
		case known && p.goesOn:
			w.broken, w.from, w.closed = slices.Clone(state.Broken), state.From, state.Closed
		case known:
			w.breaks("the receiver was not running")
		case s.ID != "":
			w.breaks("the hook was there already and this journal knows nothing of it")
		}
	}
	if blind != "" {
		w.breaks(blind)
	}
	if s.Bad != "" {
		w.breaks("the hook was not firing: " + s.Bad)
	}
	if s.Undone {
		w.breaks("somebody changed the hook and changed it back, or it was off and is on again")
	}
	if s.Bad != "" || s.ID == "" {
		w.bad, p.changed = true, s.At
	}
	if state.ID = s.ID; s.ID == "" {
		if known {
			p.states.Hooks[s.Name] = state
		}
		return false
	}
	if s.Bad == "" && w.backPass != p.pass {
		w.back, w.backPass = w.back+1, p.pass
		back = w.back == 2 && len(w.broken) > 0
	}
	state.Unkept, state.Signed, state.SignedSince = s.Unkept, !s.Signed.IsZero(), s.Signed
	if s.Bad == "" && s.Whole {
		if w.bad { // repaired or created since the last pass
			w.bad, p.changed = false, s.At
		}
		if w.pass != p.pass {
			w.good++
		}
		if w.good == 1 {
			w.since = s.At
		}
		w.pass, w.last = p.pass, s.At
		state.Saves, state.Set = s.Hook.Saves(), map[string]string{}
		for _, f := range settings() {
			state.Set[f.name] = f.kept(s.Hook)
		}
		if uri := state.Set[uriField]; !slices.Contains(state.URIs, uri) {
			state.URIs = append(state.URIs[max(0, len(state.URIs)-keptURIs+1):], uri)
		}
	}
	p.states.Hooks[s.Name] = state
	return back
}

// breaks records a reason why the hook may not have fired since the last proof.
func (w *watched) breaks(why string) {
	w.good, w.pass, w.back, w.backPass = 0, 0, 0, 0
	if !slices.Contains(w.broken, why) {
		w.broken = append(w.broken, why)
	}
}

// sign records that Kazoo's record shows a hook switched off or changed. at is by our
// clock.
func (p *proofs) sign(id string, at time.Time, why string) {
	const late = 2 * time.Minute // until an attempt of a known outage is surely on record
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, w := range p.hooks {
		if p.states.Hooks[name].ID != id || elapsed(w.closed, p.now()) < late && !at.After(w.closed) {
			continue
		}
		w.breaks(why)
		if w.from.IsZero() || at.Before(w.from) {
			w.from = at
		}
		p.keepBroken(name)
	}
}

// judged records that Kazoo's record, read at readAt, shows no more signs in the
// part that was read, which is everything after unread. An unreadable part delays
// only the proofs that depend on it. It returns the outages that have ended, and
// whether a hook was proven for the first time.
func (p *proofs) judged(readAt, unread time.Time) (ended []Outage, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.whole = p.whole || unread.IsZero()
	for name, w := range p.hooks {
		if w.good < 2 || w.last.After(readAt) {
			continue
		}
		state := p.states.Hooks[name]
		since := state.Proven
		if len(w.broken) > 0 || since.IsZero() { // the outage lasted until then
			since = w.since
		}
		if !unread.IsZero() && unread.Add(skew).After(since) {
			continue
		}
		if len(w.broken) > 0 {
			from := state.Proven
			if from.IsZero() {
				from = p.states.Began
			}
			if !w.from.IsZero() && w.from.Before(from) {
				from = w.from
			}
			ended = append(ended, Outage{From: minTime(from, w.since), To: w.since, Hooks: []string{name}, Reasons: w.broken})
			w.broken, w.from, w.closed = nil, time.Time{}, w.since
			p.keepBroken(name)
			state = p.states.Hooks[name]
		}
		first = first || state.Proven.IsZero()
		state.Proven = w.last
		p.states.Hooks[name] = state
	}
	return ended, first
}

// proven reports whether every hook is proven.
func (p *proofs) proven() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range p.hooks {
		if p.unproven(name) {
			return false
		}
	}
	return len(p.hooks) > 0
}

func (p *proofs) unproven(name string) bool {
	return len(p.hooks[name].broken) > 0 || p.states.Hooks[name].Proven.IsZero()
}

// unseen reports whether unproven hooks lack one of the two sightings for a proof. soon:
// some lack only the second. The rest of a proof is the reading of Kazoo's record, which
// more sightings would delay.
func (p *proofs) unseen() (some, soon bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, w := range p.hooks {
		if w.good < 2 && p.unproven(name) {
			some, soon = true, soon || w.good == 1
		}
	}
	return some, soon
}

// lastChange returns the last time that a hook was not as wanted.
func (p *proofs) lastChange() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// elapsed returns the time from a to b. It includes time in which the machine was
// suspended, when the monotonic clock stands still.
func elapsed(a, b time.Time) time.Duration {
	return max(b.Sub(a), b.Round(0).Sub(a.Round(0)))
}
