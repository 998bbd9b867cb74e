package delivery

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"kazoohook/internal/journal"
)

// Set sets the destinations, at the start and whenever the configuration changed. A new
// one begins where its Start says. A changed one uses its new settings from the next
// attempt on. The state of a removed one is kept for a week. After an error everything
// is as before.
func (e *Engine) Set(ctx context.Context, list []*Destination) error {
	e.setting.Lock()
	defer e.setting.Unlock()
	if err := e.awaitEnd(ctx, list); err != nil {
		return err
	}
	states, err := e.opt.Journal.Destinations(ctx)
	if err != nil {
		return err
	}
	p, err := e.plan(ctx, list, states)
	if err != nil {
		return err
	}
	if len(p.add)+len(p.remove)+len(p.forget) > 0 {
		if err := e.opt.Journal.Configure(ctx, p.add, p.remove, p.forget); err != nil {
			p.close()
			return err
		}
		if states, err = e.opt.Journal.Destinations(ctx); err != nil {
			p.close()
			return err
		}
	}
	first, err := e.opt.Journal.First(ctx)
	if err != nil {
		p.close()
		return err
	}
	e.announce(list, p, first)
	e.take(list, p, states)
	e.forgetLater(states)
	return nil
}

// plan is what a Set changes.
type plan struct {
	add            []journal.NewDestination
	back           []journal.DestinationState // added again before forgetAfter has passed
	remove, forget []string
	senders        map[string]Sender // of new or changed destinations
}

func (p *plan) close() {
	for _, s := range p.senders {
		_ = s.Close()
	}
}

func (e *Engine) plan(ctx context.Context, list []*Destination, states []journal.DestinationState) (*plan, error) {
	p := &plan{senders: map[string]Sender{}}
	known := map[string]journal.DestinationState{}
	for _, s := range states {
		known[s.Name] = s
		switch {
		case slices.ContainsFunc(list, func(d *Destination) bool { return d.Name == s.Name }):
		case s.Removed.IsZero():
			p.remove = append(p.remove, s.Name)
		case time.Since(s.Removed) >= e.opt.forgetAfter:
			p.forget = append(p.forget, s.Name)
		}
	}
	for _, d := range list {
		s, ok := known[d.Name]
		expired := ok && !s.Removed.IsZero() && time.Since(s.Removed) >= e.opt.forgetAfter
		switch {
		case expired, !ok:
			cursor, err := e.begin(ctx, d.Start)
			if err != nil {
				p.close()
				return nil, fmt.Errorf("find where destination %s begins: %w", d.Name, err)
			}
			p.add = append(p.add, journal.NewDestination{Name: d.Name, Cursor: cursor})
			if expired {
				p.forget = append(p.forget, d.Name)
			}
		case !s.Removed.IsZero():
			p.add = append(p.add, journal.NewDestination{Name: d.Name})
			p.back = append(p.back, s)
		}
		if r := e.runner(d.Name); r != nil && reflect.DeepEqual(r.destination().Settings, d.Settings) {
			continue
		}
		sender, err := e.opt.NewSender(d, e.opt.Sender)
		if err != nil {
			p.close()
			return nil, fmt.Errorf("destination %s: %w", d.Name, err)
		}
		p.senders[d.Name] = sender
	}
	return p, nil
}

// begin returns the number of the last event before a start.
func (e *Engine) begin(ctx context.Context, s Start) (int64, error) {
	switch {
	case s.Beginning:
		first, err := e.opt.Journal.First(ctx)
		return max(0, first-1), err
	case s.Back > 0:
		return e.opt.Journal.SeqAt(ctx, time.Now().Add(-s.Back))
	}
	return e.opt.Journal.Last(ctx)
}

// announce logs what is new and what was removed. A renamed destination is a new one,
// which may surprise. first is the oldest event of the journal.
func (e *Engine) announce(list []*Destination, p *plan, first int64) {
	log := &e.opt.Log
	var fresh []string
	for _, n := range p.add {
		if i := slices.IndexFunc(p.back, func(s journal.DestinationState) bool { return s.Name == n.Name }); i >= 0 {
			if next := p.back[i].Cursor + 1; next < first {
				log.Error().Str("destination", n.Name).Int64("from", next).Int64("through", first-1).Int64("events", first-next).
					Msg("destination is back, but retention removed events while it was away: they are not delivered to it")
				continue
			}
			log.Info().Str("destination", n.Name).Msg("destination is back: it goes on where it was")
			continue
		}
		fresh = append(fresh, n.Name)
		log.Info().Str("destination", n.Name).Int64("after_seq", n.Cursor).Msg("destination is new: events after after_seq are for it")
	}
	for _, name := range p.remove {
		log.Warn().Str("destination", name).
			Msg("destination is no longer configured: nothing is delivered to it, and what waits for it is kept for a week, as long as retention keeps the events")
	}
	if len(fresh) > 0 && len(p.remove) > 0 {
		log.Warn().Strs("new", fresh).Strs("removed", p.remove).
			Msg("destinations were added and removed: a renamed destination is a new one, and gets nothing of what waits under its old name")
	}
	for _, d := range list {
		for _, w := range d.Warnings {
			log.Warn().Str("destination", d.Name).Msg(w)
		}
	}
}

// take carries out a plan.
func (e *Engine) take(list []*Destination, p *plan, states []journal.DestinationState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, r := range e.runners {
		if !slices.ContainsFunc(list, func(d *Destination) bool { return d.Name == name }) {
			delete(e.runners, name)
			e.metrics.forget(name)
			e.end(name, r)
		}
	}
	lookUp := false
	for _, d := range list {
		lookUp = lookUp || len(d.Accounts) > 0
		sender := p.senders[d.Name]
		switch r := e.runners[d.Name]; {
		case r == nil:
			i := slices.IndexFunc(states, func(s journal.DestinationState) bool { return s.Name == d.Name })
			r = newRunner(e, d, sender, states[i])
			e.runners[d.Name] = r
			if e.ctx != nil && e.ctx.Err() == nil {
				r.start(e.ctx)
			}
		case sender != nil:
			r.change(d, sender)
		}
	}
	if lookUp {
		e.accounts.list()
	}
}

// end lets a removed destination begin no further attempt. Its running attempts may go
// on for Grace; mu is held.
func (e *Engine) end(name string, r *runner) {
	r.halt()
	e.ending[name] = r
	go func() {
		r.stop()
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.ending[name] == r {
			delete(e.ending, name)
		}
	}()
}

// leaving returns the removed destinations with attempts that may still run: those
// named in list, or all if list is nil.
func (e *Engine) leaving(list []*Destination) (found []*runner) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, r := range e.ending {
		if list == nil || slices.ContainsFunc(list, func(d *Destination) bool { return d.Name == name }) {
			found = append(found, r)
		}
	}
	return found
}

// awaitEnd waits until removed destinations that are in list again have ended, so that
// no two attempts at an event run at once.
func (e *Engine) awaitEnd(ctx context.Context, list []*Destination) error {
	for _, r := range e.leaving(list) {
		if r.done == nil {
			continue
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// forgetLater sets a timer to end the state of removed destinations when it is due.
func (e *Engine) forgetLater(states []journal.DestinationState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.forget != nil {
		e.forget.Stop()
		e.forget = nil
	}
	var names []string
	wait := e.opt.forgetAfter
	for _, s := range states {
		if !s.Removed.IsZero() {
			names = append(names, s.Name)
			wait = min(wait, max(time.Second, e.opt.forgetAfter-time.Since(s.Removed)))
		}
	}
	if len(names) == 0 {
		return
	}
	e.forget = time.AfterFunc(wait, func() {
		e.mu.Lock()
		ctx := e.ctx
		e.mu.Unlock()
		if ctx != nil && ctx.Err() == nil {
			e.forgetNow(ctx)
		}
	})
}

func (e *Engine) forgetNow(ctx context.Context) {
	e.setting.Lock()
	defer e.setting.Unlock()
	states, err := e.opt.Journal.Destinations(ctx)
	if err == nil {
		var due []string
		for _, s := range states {
			if !s.Removed.IsZero() && time.Since(s.Removed) >= e.opt.forgetAfter {
				due = append(due, s.Name)
			}
		}
		if err = e.opt.Journal.Configure(ctx, nil, nil, due); err == nil {
			states = slices.DeleteFunc(states, func(s journal.DestinationState) bool { return slices.Contains(due, s.Name) })
		}
	}
	if err != nil && ctx.Err() == nil {
		e.opt.Log.Warn().Err(err).Msg("the state of removed destinations could not be removed; it will be with the next start")
		return
	}
	e.forgetLater(states)
}

// ErrUnknown says that no destination of this name is configured.
var ErrUnknown = errors.New("no such destination")
