package crossbar

import (
	"bytes"
	"cmp"
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
	largePageSize = 5000 // for a run of equal keys that is longer than a page
	smallPageSize = 5    // for rows so large that ordinary pages exceed their limit
	// maxBarren is the number of pages in a row that may bring nothing new. A page
	// starts at its key's first row and reaches at least one row further than the
	// page before. So only concurrent deletions make such pages.
	maxBarren = 3
)

// listing walks the pages of one collection and yields each item once.
//
// Crossbar's next_start_key is the key of the first row that the page left out, and
// a page begins with all rows of its start key. Keys are not unique (the names of
// users, the seconds of attempts), so rows repeat at the boundaries. A run of equal
// keys that is longer than a page never ends: the next key is the one that was
// asked for (kazoo 4.3 applications/crossbar/src/crossbar_view.erl). So the
// listing remembers the yielded items. If a key does not advance, it asks for a
// larger page, and if that does not help, for everything at once. If a page is too
// large, it asks for fewer rows.
type listing struct {
	c        *Client
	req      request
	maxPages int                                   // 0: limits.pages
	maxItems int                                   // 0: limits.items
	key      func(json.RawMessage) (string, error) // identity of an item
	seen     map[identity]struct{}

	pages int   // read so far
	bytes int64 // of these pages
}

// identity is the digest of an item's identity: many are held at once.
type identity [16]byte

// itemID returns the identity of an item with an id.
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

// itemContent returns the identity of an item without an id: its whole content.
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
	return string(canonical), nil
}

// items yields the items of all pages. An error is yielded last; without an error
// the listing was complete.
func (l *listing) items(ctx context.Context) iter.Seq2[json.RawMessage, error] {
	l.req.method, l.req.list = http.MethodGet, true
	return func(yield func(json.RawMessage, error) bool) {
		l.seen = map[identity]struct{}{}
		l.pages, l.bytes = 0, 0
		_, bounded := ctx.Deadline()
		l.req.hasty = !bounded
		slow := l.exceeded("time", l.c.limits.time.String())
		ctx, cancel := context.WithTimeoutCause(ctx, l.c.limits.time, slow)
		defer cancel()
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
			if errors.Is(context.Cause(ctx), slow) {
				err = l.exceeded("time", l.c.limits.time.String())
			}
			yield(nil, err)
		}
	}
}

// exceeded returns the error of a listing that exceeds a limit.
func (l *listing) exceeded(what, limit string) *LimitError {
	return &LimitError{Op: l.req.op, What: what, Limit: limit, Pages: l.pages, Items: len(l.seen), Bytes: l.bytes}
}

var (
	errStopped   = errors.New("the consumer has had enough")
	errMorePages = errors.New("there are more pages")
)

// paged walks the pages. It reports whether they repeat.
func (l *listing) paged(ctx context.Context, yield func(json.RawMessage, error) bool) (looped bool, err error) {
	size, start, barren, crowded := pageSize, "", 0, false
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
		if smaller, ok := smallerPage(err, size); ok {
			if size == largePageSize {
				return true, nil
			}
			size, crowded = smaller, crowded || smaller > 0
			continue
		}
		switch {
		case next == "" || err != nil && !errors.Is(err, errMorePages):
			return false, err
		case next == start && size < largePageSize && !crowded:
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

// smallerPage returns the next page size to try if the error may be caused by the
// page size: a tenth if the page was too large, otherwise 0, which leaves the size to
// Kazoo.
func smallerPage(err error, size int) (int, bool) {
	var e *Error
	if !errors.As(err, &e) || size == 0 {
		return 0, false
	}
	switch {
	case e.Code == CodeTooLarge:
		return max(size/10, smallPageSize), size > smallPageSize
	case e.Status == http.StatusBadRequest, e.Status == http.StatusRequestedRangeNotSatisfiable:
		return 0, true
	}
	return 0, false
}

// page fetches one page and yields its new items. It returns the key of the next
// page, with errMorePages if there is one.
func (l *listing) page(ctx context.Context, q url.Values, yield func(json.RawMessage, error) bool) (next string, err error) {
	r := l.req
	r.query = url.Values{}
	for k, v := range l.req.query {
		r.query[k] = v
	}
	for k, v := range q {
		r.query[k] = v
	}
	r.limit = l.c.limits.page
	if r.query.Has("paginate") {
		r.limit = l.c.limits.whole
	}
	pages := cmp.Or(l.maxPages, l.c.limits.pages)
	if l.pages >= pages {
		return "", l.exceeded("pages", fmt.Sprintf("%d pages", pages))
	}
	env, err := l.c.call(ctx, r)
	if err != nil {
		return "", err
	}
	l.pages++
	l.bytes += env.size
	if l.bytes > l.c.limits.bytes {
		return "", l.exceeded("bytes", fmt.Sprintf("%d bytes", l.c.limits.bytes))
	}
	if !env.isList {
		return "", fmt.Errorf("%w: %w", ErrIncomplete, l.c.malformed(r.op, r.method, r.path, env, "the answer's data is not a list"))
	}
	for _, item := range env.Items {
		key, err := l.key(item)
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrIncomplete, l.c.malformed(r.op, r.method, r.path, env, err.Error()))
		}
		sum := sha256.Sum256([]byte(key))
		id := identity(sum[:16])
		if _, dup := l.seen[id]; dup {
			continue
		}
		if most := cmp.Or(l.maxItems, l.c.limits.items); len(l.seen) >= most {
			return "", l.exceeded("items", fmt.Sprintf("%d items", most))
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

// startKey returns a next_start_key in the form that Crossbar accepts: a string
// unchanged, anything else as JSON; empty if there is none.
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
