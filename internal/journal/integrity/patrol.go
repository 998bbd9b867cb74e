package integrity

import (
	"context"
	"time"

	"kazoohook/internal/journal/database"
)

// Read reads some events after a number, and notes in the ledger which can't be
// read. It returns the last number read, 0 at the end.
type Read func(ctx context.Context, after int64) (last int64, err error)

// patrolPause is the patrol's rest after each page of 500 events: 10,000,000 events
// take three days. After an unclean stop it rests for patrolHurry: they take an hour.
const patrolPause, patrolHurry = 13 * time.Second, 200 * time.Millisecond

// Patrol reads all events again and again, slowly, so that damage is found before the
// event is needed. With hurry the first round is faster. It ends with the context.
func (l *Ledger) Patrol(ctx context.Context, read Read, hurry bool) {
	for after := int64(0); ; {
		pause := patrolPause
		if hurry {
			pause = patrolHurry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if last, err := read(ctx, after); err == nil {
			if after = last; last == 0 {
				hurry = false
			}
		}
	}
}

// Check reads the whole database (PRAGMA integrity_check, and all that read reads)
// and returns what is wrong with it.
func (l *Ledger) Check(ctx context.Context, pool *database.Pool, read Read) (findings []string, err error) {
	err = pool.Use(ctx, func(c *database.Conn) error {
		return c.Once(ctx, "PRAGMA integrity_check(20)", nil, func(r database.Row) error {
			if s := r.Text(0); s != "ok" {
				findings = append(findings, s)
			}
			return nil
		})
	})
	if database.IsDamage(err) {
		findings, err = append(findings, err.Error()), nil
	}
	for after, last := int64(0), int64(1); err == nil && last > 0; after = last {
		last, err = read(ctx, after)
	}
	if err != nil {
		return findings, err
	}
	if derr := l.Damage().Err(); derr != nil && len(findings) == 0 {
		findings = append(findings, derr.Error())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.damage.Findings = findings
	return findings, nil
}
