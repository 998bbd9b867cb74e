package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"kazoohook/internal/journal/database"
	"kazoohook/internal/journal/search"
	"kazoohook/internal/journal/tables"

	"github.com/oklog/ulid/v2"
)

// ErrNoDestination says that the journal knows no destination with this name.
var ErrNoDestination = errors.New("no such destination in the journal")

// DestinationState is what the journal knows of a destination.
type DestinationState struct {
	Name     string
	Cursor   int64 // last event whose filters were evaluated
	Paused   Pause
	Since    time.Time // when it was paused or resumed
	Seen     time.Time // when it was first configured
	Removed  time.Time // when it was no longer configured; zero: it is
	Accepted int64     // deliveries that succeeded

	Waiting int64 // deliveries that wait, undecided ones included
	Dead    int64
	Oldest  int64 // event of the oldest waiting delivery, 0 if none waits

	LastAt                             time.Time // when the last attempt began; zero: none was made
	LastStatus, LastExcerpt, LastError string    // of that attempt; without an error it succeeded
}

// Delivery is an event on its way to a destination, or a dead letter.
type Delivery struct {
	Destination string
	Seq         int64
	EventID     string
	Event, Key  string
	State       DeliveryState
	Redelivered bool
	Attempts    int
	Base        int64     // as in Outcome
	Due         time.Time // zero: at once
	Wait        time.Duration
	At          time.Time // when the last attempt began, or when it became dead without one
	NoBody      bool      // its event is no longer kept
	LastError   string

	// History has the attempts, oldest first; only Deliveries sets it.
	History []Attempt
}

// Attempt is one attempt at a delivery.
type Attempt struct {
	N      int // from 1; the newest 50 of a delivery are kept
	At     time.Time
	Took   time.Duration
	Status string
	Error  string // "" if it succeeded
}

// Destinations lists what is known of all destinations, by name.
func (j *Journal) Destinations(ctx context.Context) (list []DestinationState, err error) {
	err = j.readDeliveries(ctx, func(c *conn) error {
		list = nil
		const sql = "SELECT name, cursor, paused, since, seen, removed, accepted, at, status, excerpt, error, " +
			"(SELECT count(*) FROM deliveries WHERE destination = name AND state < 2), " +
			"(SELECT count(*) FROM deliveries WHERE destination = name AND state = 2), " +
			"(SELECT min(seq) FROM deliveries WHERE destination = name AND state = 0 AND redelivered = 0), " +
			"(SELECT min(seq) FROM deliveries WHERE destination = name AND state = 0 AND redelivered = 1), " +
			"(SELECT min(seq) FROM deliveries WHERE destination = name AND state = 1) FROM destinations ORDER BY name"
		return c.Rows(ctx, sql, nil, func(r database.Row) error {
			d := DestinationState{
				Name: r.Text(0), Cursor: r.Int(1), Paused: Pause(r.Int(2)), Since: tables.Time(r.Int(3)), Seen: tables.Time(r.Int(4)), Removed: tables.Time(r.Int(5)),
				Accepted: r.Int(6), LastAt: tables.Time(r.Int(7)), LastStatus: r.Text(8), LastExcerpt: r.Text(9), LastError: r.Text(10),
				Waiting: r.Int(11), Dead: r.Int(12),
			}
			for _, oldest := range []int64{r.Int(13), r.Int(14), r.Int(15)} {
				if oldest > 0 && (d.Oldest == 0 || oldest < d.Oldest) {
					d.Oldest = oldest
				}
			}
			list = append(list, d)
			return nil
		})
	})
	return list, err
}

// WaitingDeliveries lists the waiting and undecided deliveries of a destination:
// redelivered events first, then the others up to number upto, both in order of
// their numbers.
func (j *Journal) WaitingDeliveries(ctx context.Context, destination string, upto int64, limit int) ([]Delivery, error) {
	const each = "SELECT * FROM (SELECT " + deliveryColumns + " FROM deliveries WHERE destination = ?1 AND state = %d AND redelivered = %d %s ORDER BY seq LIMIT ?2)"
	sql := fmt.Sprintf(each+" UNION ALL "+each+" UNION ALL "+each, Waiting, 1, "AND ?3 = ?3", Waiting, 0, "AND seq <= ?3", Undecided, 0, "AND seq <= ?3") +
		" ORDER BY redelivered DESC, seq LIMIT ?2"
	return j.deliveries(ctx, sql, destination, int64(limit), upto)
}

// DeadLetters lists dead letters of events after a number, in order of number.
// Destination "" stands for all.
func (j *Journal) DeadLetters(ctx context.Context, destination string, after int64, limit int) ([]Delivery, error) {
	const sql = "SELECT " + deliveryColumns + " FROM deliveries WHERE state = 2 AND seq > ? "
	if destination == "" {
		return j.deliveries(ctx, sql+"ORDER BY seq, destination LIMIT ?", after, int64(limit))
	}
	// Two parts of the index, because dead letters may have been redelivered.
	const one = "SELECT * FROM (SELECT " + deliveryColumns + " FROM deliveries WHERE destination = ?1 AND state = 2 AND redelivered = "
	const rest = " AND seq > ?2 ORDER BY seq LIMIT ?3)"
	return j.deliveries(ctx, one+"0"+rest+" UNION ALL "+one+"1"+rest+" ORDER BY seq LIMIT ?3", destination, after, int64(limit))
}

// Deliveries lists the deliveries of one event with their attempts, by destination.
// Those that have ended are Delivered if the destination ever took the event, and
// otherwise Discarded.
func (j *Journal) Deliveries(ctx context.Context, seq int64) (list []Delivery, err error) {
	list, err = j.deliveries(ctx, "SELECT "+deliveryColumns+" FROM deliveries WHERE seq = ? ORDER BY destination", seq)
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	for i := range list {
		at[list[i].Destination] = i
	}
	err = j.readDeliveries(ctx, func(c *conn) error {
		const sql = "SELECT destination, n, at, took, status, error FROM attempts WHERE seq = ? ORDER BY destination, n"
		return c.Rows(ctx, sql, []any{seq}, func(r database.Row) error {
			i, ok := at[r.Text(0)]
			if !ok {
				i = len(list)
				at[r.Text(0)] = i
				list = append(list, Delivery{Destination: r.Text(0), Seq: seq, State: Discarded})
			}
			a := Attempt{N: int(r.Int(1)), At: tables.Time(r.Int(2)), Took: time.Duration(r.Int(3)), Status: r.Text(4), Error: r.Text(5)}
			d := &list[i]
			d.History = append(d.History, a)
			if d.State > Dead { // it has no row
				d.Attempts, d.At = len(d.History), a.At
				if a.Error == "" {
					d.State = Delivered
				}
			}
			return nil
		})
	})
	return list, err
}

// SeqOf is the number of the event with an id, also of one that is kept only for
// destinations, or ErrNotFound.
func (j *Journal) SeqOf(ctx context.Context, eventID string) (seq int64, err error) {
	id, err := ulid.ParseStrict(eventID)
	if err != nil {
		return 0, fmt.Errorf("%w: %q is not an event id: 26 letters and digits", ErrNotFound, eventID)
	}
	first, last := j.tail.Bounds()
	err = j.readDeliveries(ctx, func(c *conn) error {
		from, err := search.SeqAt(ctx, c, first, last, time.UnixMilli(int64(id.Time())))
		if err != nil {
			return err
		}
		const sql = "SELECT seq FROM (SELECT seq, id FROM events WHERE seq >= ? ORDER BY seq LIMIT 100000) WHERE id = ? " +
			"UNION ALL SELECT seq FROM backlog WHERE id = ?2 UNION ALL SELECT seq FROM deliveries WHERE id = ?2 LIMIT 1"
		found, err := c.Ints(ctx, sql, []any{from, id[:]}, &seq)
		if err == nil && !found {
			err = fmt.Errorf("%w: %s", ErrNotFound, eventID)
		}
		return err
	})
	return seq, err
}

// AccountPlaces lists where accounts are in Kazoo's tree, as far as it is known.
func (j *Journal) AccountPlaces(ctx context.Context) (list []AccountPlace, err error) {
	err = j.readDeliveries(ctx, func(c *conn) error {
		list = nil
		return c.Rows(ctx, "SELECT account, ancestors FROM accounts ORDER BY account", nil, func(r database.Row) error {
			p := AccountPlace{Account: r.Text(0)}
			if above := r.Text(1); above != "" {
				p.Ancestors = strings.Split(above, "/")
			}
			list = append(list, p)
			return nil
		})
	})
	return list, err
}

func (j *Journal) deliveries(ctx context.Context, sql string, args ...any) (list []Delivery, err error) {
	err = j.readDeliveries(ctx, func(c *conn) error {
		list = nil
		return c.Rows(ctx, sql, args, func(r database.Row) error {
			var id ulid.ULID
			copy(id[:], r.Blob(4))
			list = append(list, Delivery{
				Seq: r.Int(0), Destination: r.Text(1), State: DeliveryState(r.Int(2)), Redelivered: r.Int(3) != 0, EventID: id.String(), Event: r.Text(5), Key: r.Text(6),
				Attempts: int(r.Int(7)), Base: r.Int(8), Due: tables.Time(r.Int(9)), Wait: time.Duration(r.Int(10)), At: tables.Time(r.Int(11)),
				NoBody: r.Int(12) != 0, LastError: r.Text(13),
			})
			return nil
		})
	})
	return list, err
}

// readDeliveries reads tables of onward delivery. A journal of an older version
// that is read offline has none: then nothing is found.
func (j *Journal) readDeliveries(ctx context.Context, f func(*conn) error) error {
	return j.read(ctx, func(c *conn) error {
		if j.readOnly {
			var version int64
			if _, err := c.Ints(ctx, "PRAGMA user_version", nil, &version); err != nil || version < tables.DestinationsSchema {
				return err
			}
		}
		return f(c)
	})
}
