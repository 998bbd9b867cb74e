package crossbar

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

const (
	pageSize      = 500  // rows of an ordinary page; Kazoo's default is 50
	largePageSize = 5000 // where a run of equal keys is longer than a page
	// maxBarren is how many pages in a row may bring nothing new. A page starts
	// at its key's first row and reaches at least one row further than the page
	// before, so that without concurrent deletions none is barren.
	maxBarren = 3
)

// listing walks the pages of one collection and yields each item once.
//
// Crossbar's next_start_key is the key of the first row that the page left out,
// and a page begins with all rows of its start key. Keys are not unique (the
// names of users, the seconds of attempts), so rows repeat at the boundaries,
// and a run of equal keys that is longer than a page never ends: the next key is
// the one that was asked for (kazoo 4.3 applications/crossbar/src/crossbar_view.erl).
// So what was yielded is remembered, a key that does not advance is asked for
// again with a larger page, and if that does not help either everything is asked
// for at once.
type listing struct {
	c    *Client
	req  request
	key  func(json.RawMessage) (string, error) // identity of an item
	seen map[string]struct{}
}

// itemID is the identity of an item that has an id.
func itemID(raw json.RawMessage) (string, error) {
	var item struct {
		ID json.RawMessage `json:"id"`
	}
	if err := json.Unmarshal(raw, &item); err != nil {
		return "", errors.New("an item is not an object")
	}
	if id := text(item.ID); id != "" {
		return id, nil
	}
	return "", errors.New("an item has no id")
}

// itemContent is the identity of an item without an id: all of it.
func itemContent(raw json.RawMessage) (string, error) {
	var item map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&item); err != nil {
		return "", errors.New("an item is not an object")
	}
	// Marshalled again with sorted keys, because the order is not promised.
	canonical, err := json.Marshal(item)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(canonical)
	return string(sum[:16]), nil
}

// items yields the items of all pages. An error is yielded last; without one the
// listing was complete.
func (l *listing) items(ctx context.Context) iter.Seq2[json.RawMessage, error] {
	l.req.method, l.req.list = http.MethodGet, true
	return func(yield func(json.RawMessage, error) bool) {
		l.seen = map[string]struct{}{}
		looped, err := l.paged(ctx, yield)
		if looped && err == nil {
			_, err = l.page(ctx, url.Values{"paginate": {"false"}}, yield)
			var e *Error
			switch {
			case errors.As(err, &e) && e.Status == http.StatusRequestedRangeNotSatisfiable:
				err = fmt.Errorf("%w: its pages repeat and Kazoo refuses it as a whole: %w", ErrIncomplete, err)
			case errors.Is(err, errMorePages):
				err = fmt.Errorf("%w: %s: its pages repeat and paginate=false is ignored", ErrIncomplete, doing(l.req.op))
			}
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}

var (
	errStopped   = errors.New("the consumer has had enough")
	errMorePages = errors.New("there are more pages")
)

// paged walks the pages. It reports whether they go round in circles.
func (l *listing) paged(ctx context.Context, yield func(json.RawMessage, error) bool) (looped bool, err error) {
	size, start, barren := pageSize, "", 0
	asked := map[string]struct{}{}
	for {
		q := url.Values{}
		if size > 0 {
			q.Set("page_size", strconv.Itoa(size))
		}
		if start != "" {
			q.Set("start_key", start)
		}
		before := len(l.seen)
		next, err := l.page(ctx, q, yield)
		if size > 0 && sizeRefused(err) {
			if size == largePageSize {
				return true, nil
			}
			size = 0
			continue
		}
		switch {
		case next == "" || err != nil && !errors.Is(err, errMorePages):
			return false, err
		case next == start && size < largePageSize:
			size = largePageSize // more rows of one key than a page holds
			continue
		}
		if barren++; len(l.seen) > before {
			barren = 0
		}
		if _, again := asked[next]; again || next == start || barren >= maxBarren {
			return true, nil
		}
		asked[next] = struct{}{}
		start = next
	}
}

// sizeRefused reports an answer that may be about the page size: then Kazoo's own
// default is asked for, or everything at once.
func sizeRefused(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Status == http.StatusBadRequest || e.Status == http.StatusRequestedRangeNotSatisfiable || e.Code == CodeTooLarge
}

// page fetches one page and yields what is new in it. It gives the key of the
// next page, and errMorePages, if there is one.
func (l *listing) page(ctx context.Context, q url.Values, yield func(json.RawMessage, error) bool) (next string, err error) {
	r := l.req
	r.query = url.Values{}
	for k, v := range l.req.query {
		r.query[k] = v
	}
	for k, v := range q {
		r.query[k] = v
	}
	env, err := l.c.call(ctx, r)
	if err != nil {
		return "", err
	}
	if !env.isList {
		return "", fmt.Errorf("%w: %w", ErrIncomplete, l.c.malformed(r.op, r.method, r.path, env, "the answer's data is not a list"))
	}
	for _, item := range env.Items {
		id, err := l.key(item)
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrIncomplete, l.c.malformed(r.op, r.method, r.path, env, err.Error()))
		}
		if _, dup := l.seen[id]; dup {
			continue
		}
		l.seen[id] = struct{}{}
		if !yield(item, nil) {
			return "", errStopped
		}
	}
	if next = startKey(env.NextStartKey); next != "" {
		return next, errMorePages
	}
	return "", nil
}

// startKey gives a next_start_key as Crossbar takes it back: a string as it is,
// anything else as JSON; empty if there is none.
func startKey(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	if raw[0] == '"' {
		return text(raw)
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return ""
	}
	return b.String()
}
