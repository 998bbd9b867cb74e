package fakekazoo

import (
	"context"
	"time"
)

// Traffic makes things happen in the login's account, and sometimes in those below it,
// until ctx ends: users are created and deleted, phones ring, messages arrive. About
// rate things happen a second, at random intervals. It returns ctx's error.
func (k *Kazoo) Traffic(ctx context.Context, rate float64) error {
	for {
		gap := time.Duration(k.rand.exp() / rate * float64(time.Second))
		if !pause(ctx, min(gap, 10*time.Second)) {
			return ctx.Err()
		}
		k.happen()
	}
}

// SetTraffic starts Traffic in the background, or changes its rate; 0 stops it.
func (k *Kazoo) SetTraffic(rate float64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopTraffic != nil {
		k.stopTraffic()
		k.stopTraffic = nil
	}
	if rate <= 0 || k.closed {
		return
	}
	ctx, stop := context.WithCancel(k.ctx)
	k.stopTraffic = stop
	k.wg.Go(func() { _ = k.Traffic(ctx, rate) })
}

// Happen makes n random things happen at once.
func (k *Kazoo) Happen(n int) {
	for range n {
		k.happen()
	}
}

// happen makes one random thing happen: most often a call, or the creation or deletion
// of a user. If the account is deleted meanwhile, nothing happens.
func (k *Kazoo) happen() {
	where := k.somewhere()
	dice := k.rand.intn(100)
	switch {
	case dice < 20 && len(k.Living("users", where)) < crowd:
		_, _ = k.CreateUser(User{AccountID: where})
	case dice < 35:
		k.deleteRandom("users", where)
	case dice < 42:
		if id, ok := k.anyLiving("users", where); ok {
			first, last := k.personName()
			_ = k.EditObject(id, map[string]any{"first_name": first, "last_name": last})
		}
	case dice < 46:
		_, _ = k.CreateObject("devices", where, map[string]any{"name": "Phone " + k.extension(), "device_type": "sip_device"})
	case dice < 49:
		k.deleteRandom("devices", where)
	case dice < 51:
		_, _ = k.CreateObject("vmboxes", where, map[string]any{"name": "Box " + k.extension(), "mailbox": k.extension()})
	case dice < 76:
		_, _ = k.PlaceCall(Call{AccountID: where, Unanswered: k.rand.chance(0.3)})
	case dice < 83:
		_ = k.LeaveVoicemail(where)
	case dice < 89:
		_ = k.MissCall(where)
	case dice < 93:
		_ = k.SendText(where, "Hi José! 50% off & more = now")
	case dice < 96:
		_ = k.ParkCall(where, k.rand.chance(0.7))
	case dice < 98:
		_ = k.ReceiveFax(where)
	case dice < 99:
		_ = k.RecoverPassword(where)
	default:
		_, _ = k.CreateObject("callflows", where, map[string]any{"numbers": []any{k.number()}})
	}
}

// crowd is the number of users from which an account gets no more.
const crowd = 200

// somewhere returns the login's account most of the time, otherwise one below it.
func (k *Kazoo) somewhere() string {
	k.mu.Lock()
	home, below := k.logins[0].account, []string{}
	for _, a := range k.order {
		if a != home && a.descendsFrom(home) {
			below = append(below, a.ID)
		}
	}
	k.mu.Unlock()
	if len(below) == 0 || k.rand.chance(0.7) {
		return home.ID
	}
	return pick(k.rand, below)
}

func (k *Kazoo) deleteRandom(path, where string) {
	if id, ok := k.anyLiving(path, where); ok {
		_ = k.DeleteObject(id)
	}
}

func (k *Kazoo) anyLiving(path, where string) (string, bool) {
	ids := k.Living(path, where)
	if len(ids) == 0 {
		return "", false
	}
	return pick(k.rand, ids), true
}

// DeleteRandomUser deletes a user of an account (id or name; empty: of any) and
// returns the id; ErrNotFound if there is none left.
func (k *Kazoo) DeleteRandomUser(accountID string) (string, error) {
	id, ok := k.anyLiving("users", accountID)
	if !ok {
		return "", ErrNotFound
	}
	return id, k.DeleteUser(id)
}
