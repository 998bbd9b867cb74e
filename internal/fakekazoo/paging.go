package fakekazoo

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sort"
	"strconv"
)

// defaultPageSize is Crossbar's.
const defaultPageSize = 50

// view is a listing's rows in ascending order of their keys, which need not be
// unique. value returns nil for a deleted row.
type view interface {
	len() int
	key(i int) string
	value(i int) *jobj
}

// objectView is the view of a collection.
type objectView []row

func (v objectView) len() int         { return len(v) }
func (v objectView) key(i int) string { return v[i].key }
func (v objectView) value(i int) *jobj {
	if v[i].doc.deleted {
		return nil
	}
	return v[i].doc.summary()
}

// listView is a view of given rows.
type listView []listRow

type listRow struct {
	k   string
	doc *jobj
}

func (v listView) len() int          { return len(v) }
func (v listView) key(i int) string  { return v[i].k }
func (v listView) value(i int) *jobj { return v[i].doc }

// list answers with one page of a view, as CouchDB pages: start_key is the key
// of the first row, so rows with one key begin again on every page. If more rows
// share a key than a page holds, next_start_key never gets past them
// (kazoo applications/crossbar/src/crossbar_view.erl).
func (c *call) list(v view, ascending bool) reply {
	q := c.r.URL.Query()
	at := func(i int) int {
		if ascending {
			return i
		}
		return v.len() - 1 - i
	}
	if q.Get("paginate") == "false" {
		return c.listAll(v, at)
	}
	size := defaultPageSize
	if s := q.Get("page_size"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return invalid(obj("page_size", obj("minimum", obj("message", "page size must be at least 1", "cause", s))))
		}
		size = n
	}
	p := &page{start: q.Get("start_key")}
	i := 0
	if p.start != "" {
		key := decodeKey(p.start)
		i = sort.Search(v.len(), func(i int) bool {
			if ascending {
				return v.key(at(i)) >= key
			}
			return v.key(at(i)) <= key
		})
	}
	rows, first := []any{}, ""
	for ; i < v.len(); i++ {
		doc := v.value(at(i))
		if doc == nil {
			continue
		}
		if len(rows) == size {
			p.next = encodeKey(v.key(at(i)))
			break
		}
		if len(rows) == 0 {
			first = encodeKey(v.key(at(i)))
		}
		rows = append(rows, doc)
	}
	rows = c.failListing(p, rows, first)
	p.size = len(rows)
	if p.start == "" {
		p.start = first // also on the first page
	}
	r := ok(rows)
	r.page = p
	return r
}

func (c *call) listAll(v view, at func(int) int) reply {
	rows := []any{}
	for i := range v.len() {
		if doc := v.value(at(i)); doc != nil {
			rows = append(rows, doc)
		}
	}
	if len(rows) > c.k.opt.MaxUnpaged {
		return systemError(http.StatusRequestedRangeNotSatisfiable, "range_not_satisfiable", "the result is too large, use pagination")
	}
	p := &page{}
	r := ok(c.failListing(p, rows, ""))
	if p.next != "" {
		r.page = p
	}
	return r
}

// failListing applies the faults that make a listing wrong.
func (c *call) failListing(p *page, rows []any, first string) []any {
	if _, endless := c.strikes(FaultEndless); endless {
		return c.endless(p)
	}
	if _, omit := c.strikes(FaultOmit); omit {
		kept := []any{}
		for _, r := range rows {
			if c.k.rand.chance(0.5) {
				kept = append(kept, r)
			}
		}
		rows = kept
	}
	if p.next != "" {
		if _, repeat := c.strikes(FaultRepeat); repeat {
			p.next = first
		} else if _, cut := c.strikes(FaultCutList); cut {
			p.next = ""
		}
	}
	return rows
}

// encodeKey makes a key opaque.
func encodeKey(key string) string {
	return base64.RawURLEncoding.EncodeToString(appendJSONString(nil, key))
}

// decodeKey treats an invalid encoding as a plain key.
func decodeKey(start string) string {
	raw, err := base64.RawURLEncoding.DecodeString(start)
	var key string
	if err != nil || json.Unmarshal(raw, &key) != nil {
		return start
	}
	return key
}
