package endurance

import (
	"context"
	"math/rand/v2"
	"time"

	"kazoohook/bench/chaos/trial"
	"kazoohook/internal/fakekazoo"
)

// traffic is what happens on the phone platform: as much is created as deleted, so
// that the platform itself doesn't grow.
type traffic struct {
	kazoo    *fakekazoo.Kazoo
	rand     *rand.Rand
	accounts []string
	crowd    int // wanted number of users
	users    []string
	devices  []string
	edited   map[string]time.Time // users, at the last edit
	next     int                  // user whose turn it is to be edited
}

// editPause is the least time between two edits of one user. More than a minute
// after a crash an identical edit is no longer a duplicate, so each can be accounted
// for.
const editPause = 90 * time.Second

func newTraffic(o Options, k *fakekazoo.Kazoo) (*traffic, error) {
	t := &traffic{
		kazoo: k, crowd: o.Users, edited: map[string]time.Time{},
		rand: rand.New(rand.NewPCG(o.Seed, 1)), //nolint:gosec // is to be repeatable
	}
	home := k.AccountID()
	for _, a := range k.Accounts() {
		if a.ID == home || a.Parent == "acme" || a.Parent == home {
			t.accounts = append(t.accounts, a.ID)
		}
	}
	for i, id := range t.accounts {
		n := o.Users / 10
		if i == 0 {
			n = o.Users - n*(len(t.accounts)-1)
		}
		made, err := k.SeedUsers(id, n)
		if err != nil {
			return nil, err
		}
		for _, u := range made {
			t.users = append(t.users, u.ID)
		}
	}
	return t, nil
}

// run makes things happen until ctx ends: rate requests a second on average, even if
// the receiver is slow.
func (t *traffic) run(ctx context.Context, rate float64) error {
	next := time.Now()
	for trial.Sleep(ctx, time.Until(next)) {
		n, err := t.happen()
		if err != nil {
			return err
		}
		next = next.Add(time.Duration(t.rand.ExpFloat64() * float64(n) / rate * float64(time.Second)))
	}
	return nil
}

// happen does one thing and returns the number of requests that follow.
func (t *traffic) happen() (requests int, err error) {
	where := t.accounts[max(0, t.rand.IntN(len(t.accounts)+4)-4)] // the first one most of the time
	switch dice := t.rand.IntN(100); {
	case dice < 12:
		if len(t.users) > t.crowd+t.crowd/10 {
			return 1, t.remove(&t.users)
		}
		u, err := t.kazoo.CreateUser(fakekazoo.User{AccountID: where})
		t.users = append(t.users, u.ID)
		return 2, err
	case dice < 24:
		if len(t.users) < t.crowd-t.crowd/10 {
			u, err := t.kazoo.CreateUser(fakekazoo.User{AccountID: where})
			t.users = append(t.users, u.ID)
			return 2, err
		}
		return 1, t.remove(&t.users)
	case dice < 32:
		return t.edit(where)
	case dice < 38:
		if len(t.devices) > t.crowd/10 {
			return 1, t.remove(&t.devices)
		}
		id, err := t.kazoo.CreateObject("devices", where, map[string]any{"name": "Phone", "device_type": "sip_device"})
		t.devices = append(t.devices, id)
		return 1, err
	case dice < 42:
		if len(t.devices) == 0 {
			return t.call(where)
		}
		return 1, t.remove(&t.devices)
	case dice < 67:
		return t.call(where)
	case dice < 75:
		return 1, t.kazoo.LeaveVoicemail(where)
	case dice < 82:
		return 1, t.kazoo.MissCall(where)
	case dice < 90:
		return 1, t.kazoo.SendText(where, "Hi José! 50% off & more = now")
	case dice < 94:
		return 2, t.kazoo.ParkCall(where, t.rand.IntN(3) > 0)
	case dice < 97:
		return 1, t.kazoo.ReceiveFax(where)
	default:
		return 1, t.kazoo.RecoverPassword(where)
	}
}

func (t *traffic) call(where string) (int, error) {
	c := fakekazoo.Call{AccountID: where, Unanswered: t.rand.IntN(3) == 0}
	_, err := t.kazoo.PlaceCall(c)
	if c.Unanswered {
		return 2, err
	}
	return 4, err
}

// edit edits the next user in turn; if that one was edited lately, it makes a call.
func (t *traffic) edit(where string) (int, error) {
	if t.next++; t.next >= len(t.users) {
		t.next = 0
	}
	id := t.users[t.next]
	if time.Since(t.edited[id]) < editPause {
		return t.call(where)
	}
	t.edited[id] = time.Now()
	return 1, t.kazoo.EditObject(id, map[string]any{"timezone": "Europe/Madrid"})
}

// remove deletes one object of the list.
func (t *traffic) remove(list *[]string) error {
	i := t.rand.IntN(len(*list))
	id := (*list)[i]
	last := len(*list) - 1
	(*list)[i] = (*list)[last]
	*list = (*list)[:last]
	delete(t.edited, id)
	return t.kazoo.DeleteObject(id)
}
