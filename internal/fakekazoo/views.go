package fakekazoo

import (
	"slices"
	"strings"
	"time"
)

// views lets listings lag behind the documents: for a while after a change a
// listing shows the row as it was before, or lacks it. Only changes made while
// there is a lag are held back. The lock of Kazoo guards it.
type views struct {
	lag   time.Duration
	names []string // of the listings that lag: "users", "accounts", "webhooks"
	stale map[string][]staleRow
}

// staleRow is what a listing shows for some time instead of the current row.
type staleRow struct {
	id    string
	row   *listRow // nil: nothing
	until time.Time
}

// was notes a row that is about to change or to be removed.
func (v *views) was(c *clock, id string, row listRow, listings ...string) {
	v.note(c, staleRow{id: id, row: &row}, listings)
}

// absent notes that there was no row.
func (v *views) absent(c *clock, id string, listings ...string) {
	v.note(c, staleRow{id: id}, listings)
}

func (v *views) note(c *clock, s staleRow, listings []string) {
	if v.lag <= 0 {
		return
	}
	s.until = time.Now().Add(c.real(v.lag))
	for _, name := range listings {
		if !slices.Contains(v.names, name[strings.IndexByte(name, '/')+1:]) {
			continue
		}
		if v.stale == nil {
			v.stale = map[string][]staleRow{}
		}
		v.stale[name] = append(v.stale[name], s)
	}
}

// lagging reports whether a listing shows stale rows.
func (v *views) lagging(_ *clock, name string) bool {
	now := time.Now()
	left := slices.DeleteFunc(v.stale[name], func(s staleRow) bool { return !s.until.After(now) })
	if len(left) == 0 {
		delete(v.stale, name)
		return false
	}
	v.stale[name] = left
	return true
}

// read gives the rows that a listing shows, sorted by key.
func (v *views) read(c *clock, name string, rows listView) listView {
	if !v.lagging(c, name) {
		return rows
	}
	shown := map[string]*listRow{} // the oldest state that has not passed yet
	for _, s := range v.stale[name] {
		if _, ok := shown[s.id]; !ok {
			shown[s.id] = s.row
		}
	}
	out := listView{}
	for _, r := range rows {
		if _, ok := shown[r.doc.str("id")]; !ok {
			out = append(out, r)
		}
	}
	for _, r := range shown {
		if r != nil {
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b listRow) int {
		if n := strings.Compare(a.k, b.k); n != 0 {
			return n
		}
		return strings.Compare(a.doc.str("id"), b.doc.str("id"))
	})
	return out
}

// SetViewLag changes Options.ViewLag and, if any are given, the listings that lag.
// Without a lag all listings are current at once.
func (k *Kazoo) SetViewLag(d time.Duration, listings ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.views.lag = d
	if len(listings) > 0 {
		k.views.names = listings
	}
	if d <= 0 {
		k.views.stale = nil
	}
}
