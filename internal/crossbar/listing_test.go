package crossbar

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// row is a row of a view. Rows come in descending order of key.
type row struct {
	key string
	doc map[string]any
}

// view answers as crossbar_view.erl does: from the first row whose key is at most
// start_key, page_size rows, and the key of the row after them.
func view(rows []row, w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	rest := rows
	if q.Get("paginate") == "false" {
		ok(w, docs(rest))
		return
	}
	size, err := strconv.Atoi(q.Get("page_size"))
	if err != nil {
		size = 50
	}
	if s := q.Get("start_key"); s != "" {
		from := slices.IndexFunc(rows, func(r row) bool { return r.key <= s })
		if from < 0 {
			from = len(rows)
		}
		rest = rows[from:]
	}
	env := map[string]any{"status": "success", "request_id": "r"}
	if len(rest) > size {
		env["next_start_key"] = rest[size].key
		rest = rest[:size]
	}
	env["page_size"], env["data"] = len(rest), docs(rest)
	reply(w, http.StatusOK, env)
}

func docs(rows []row) []any {
	out := []any{}
	for _, r := range rows {
		out = append(out, r.doc)
	}
	return out
}

func userRows(keys ...string) []row {
	var rows []row
	for i, k := range keys {
		rows = append(rows, row{k, map[string]any{"id": fmt.Sprintf("u%05d", i), "last_name": k}})
	}
	slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(b.key, a.key) })
	return rows
}

func ids(rows []row) []string {
	var out []string
	for _, r := range rows {
		out = append(out, r.doc["id"].(string))
	}
	return out
}

func usersAPI(h http.HandlerFunc) *api {
	a := newAPI()
	a.authed("GET /v2/accounts/{id}/users", h)
	return a
}

func list(t *testing.T, c *Client) ([]string, error) {
	t.Helper()
	var got []string
	for o, err := range c.Objects(t.Context(), testAccount, "users") {
		if err != nil {
			return got, err
		}
		got = append(got, o.ID)
	}
	return got, nil
}

func TestListingYieldsEachOnce(t *testing.T) {
	t.Parallel()
	// The handler replaces the real page sizes by small ones.
	scaled := func(rows []row, small, large int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			switch q.Get("page_size") {
			case strconv.Itoa(pageSize):
				q.Set("page_size", strconv.Itoa(small))
			case strconv.Itoa(largePageSize):
				q.Set("page_size", strconv.Itoa(large))
			}
			r.URL.RawQuery = q.Encode()
			view(rows, w, r)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		small := rapid.IntRange(1, 8).Draw(rt, "small")
		large := small + rapid.IntRange(0, 12).Draw(rt, "large")
		keys := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d e", "ü", `x"y`}), 0, 60).Draw(rt, "keys")
		rows := userRows(keys...)
		c, _ := inMemory(t, usersAPI(scaled(rows, small, large)))
		got, err := list(t, c)
		if err != nil {
			rt.Fatal(err)
		}
		want := ids(rows)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			rt.Fatalf("got %v, want %v", got, want)
		}
	})
}

func TestListingFallsBack(t *testing.T) {
	t.Parallel()
	many := slices.Repeat([]string{"Smith John"}, 1200)
	rows := userRows(append(many, "Adams", "Zorn")...)
	for name, tc := range map[string]struct {
		h    http.HandlerFunc
		want error
	}{
		"larger page": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("paginate") != "" {
				fail(w, 416, "too large", nil)
				return
			}
			view(rows, w, r)
		}, nil},
		"unpaged": {func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			q.Set("page_size", "50") // a cluster that limits it
			r.URL.RawQuery = q.Encode()
			view(rows, w, r)
		}, nil},
		"large page refused": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("page_size") == strconv.Itoa(largePageSize) {
				fail(w, 416, "too large", nil)
				return
			}
			view(rows, w, r)
		}, nil},
		"page size refused": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("page_size") != "" {
				fail(w, 400, "page_size", nil)
				return
			}
			view(rows, w, r)
		}, nil},
		"all refused": {func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			if q.Get("paginate") != "" {
				fail(w, 416, "range not satisfiable", nil)
				return
			}
			q.Set("page_size", "50")
			r.URL.RawQuery = q.Encode()
			view(rows, w, r)
		}, ErrIncomplete},
		"query ignored": {func(w http.ResponseWriter, r *http.Request) {
			r.URL.RawQuery = ""
			view(rows, w, r)
		}, ErrIncomplete},
		"cycle": {func(w http.ResponseWriter, r *http.Request) {
			next := map[string]string{"": "a", "a": "b", "b": "c", "c": "a"}[r.URL.Query().Get("start_key")]
			reply(w, 200, map[string]any{"status": "success", "next_start_key": next,
				"data": []any{map[string]any{"id": "x" + r.URL.Query().Get("start_key")}}})
		}, ErrIncomplete},
		"endless keys, nothing new": {func(w http.ResponseWriter, r *http.Request) {
			reply(w, 200, map[string]any{"status": "success", "next_start_key": r.URL.Query().Get("start_key") + "x",
				"data": []any{map[string]any{"id": "x"}}})
		}, ErrIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, m := inMemory(t, usersAPI(tc.h))
			got, err := list(t, c)
			if !errors.Is(err, tc.want) {
				t.Fatalf("error %v, want %v", err, tc.want)
			}
			if n := m.count("GET"); n > 12 {
				t.Errorf("%d requests", n)
			}
			slices.Sort(got)
			if len(slices.Compact(got)) != len(got) {
				t.Error("an item was yielded twice")
			}
			if want := ids(rows); err == nil && len(got) != len(want) {
				t.Errorf("%d items of %d", len(got), len(want))
			}
		})
	}
}

func TestListingStopsAndFails(t *testing.T) {
	t.Parallel()
	keys := make([]string, 1700)
	for i := range keys {
		keys[i] = fmt.Sprintf("%05d", i)
	}
	rows := userRows(keys...)
	c, m := inMemory(t, usersAPI(func(w http.ResponseWriter, r *http.Request) { view(rows, w, r) }))
	n := 0
	for _, err := range c.Objects(t.Context(), testAccount, "users") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 10 {
			break
		}
	}
	if m.count("GET") != 1 {
		t.Errorf("%d pages for ten items", m.count("GET"))
	}
	// An error on a later page is the last thing that is yielded.
	pages := 0
	c, _ = inMemory(t, usersAPI(func(w http.ResponseWriter, r *http.Request) {
		if pages++; pages == 3 {
			fail(w, 403, "forbidden", nil)
			return
		}
		view(rows, w, r)
	}))
	got, err := list(t, c)
	if e := asError(t, err); e.Status != 403 || len(got) < 900 || len(got) >= len(rows) {
		t.Errorf("%d items, %v", len(got), err)
	}
	// A page that was cut off is fetched again, and nothing is yielded twice.
	broken := false
	c, _ = inMemory(t, usersAPI(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("start_key") != "" && !broken {
			broken = true
			raw(200, "application/json", `{"data":[{"id":"u00010"},{"id"`)(w, r)
			return
		}
		view(rows, w, r)
	}))
	if got, err = list(t, c); err != nil || len(got) != len(rows) {
		t.Errorf("%d items, %v", len(got), err)
	}
}

func TestStartKey(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		``: "", `null`: "", `""`: "", `"g2wAAAAC"`: "g2wAAAAC", `"a \"b\" ü"`: `a "b" ü`,
		`63962778721`: "63962778721", `["acct", 5, {}]`: `["acct",5,{}]`, `{"a": 1}`: `{"a":1}`, `false`: "false",
	} {
		if got := startKey(json.RawMessage(in)); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	// Every kind of start_key is sent back unchanged.
	for _, key := range []any{"Müller & Sohn=+%", 63962778721, []any{"acct", "Smith \"J\" John"}, map[string]any{"k": 1}} {
		var got string
		first := true
		c, _ := inMemory(t, usersAPI(func(w http.ResponseWriter, r *http.Request) {
			env := map[string]any{"status": "success", "data": []any{map[string]any{"id": "x"}}}
			if first {
				env["next_start_key"], first = key, false
			} else {
				got = r.URL.Query().Get("start_key")
				env["data"] = []any{}
			}
			reply(w, 200, env)
		}))
		if _, err := list(t, c); err != nil {
			t.Fatal(err)
		}
		want, isText := key.(string)
		if !isText {
			j, _ := json.Marshal(key)
			want = string(j)
		}
		if got != want {
			t.Errorf("start_key %q, want %q", got, want)
		}
	}
}
