package event

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// MinSize is the smallest size to which Shorten can cut any event: name, id,
// number, source and time, and the beginning of everything else.
const MinSize = 1536

// Shorten cuts an event until its JSON takes at most size bytes, which must be
// MinSize or more, and sets Truncated. It cuts the longest values first and notes
// how many bytes they had. If that isn't enough, it removes members of objects and
// lists and notes how many. An event that fits is unchanged.
func (e *Event) Shorten(size int) {
	if len(e.AppendJSON(nil)) <= size {
		return
	}
	e.Truncated = true
	share := size / 16
	for _, s := range []*string{&e.AccountID, &e.Hook, &e.HookID, &e.ClusterID, &e.ObjectType, &e.ObjectID, &e.ObjectName} {
		*s = cutText(*s, share)
	}
	if len(e.Problems) > 0 {
		e.Problems = []string{cutText(joinProblems(e.Problems), share)}
	}
	data := e.Data
	e.Data = nil
	if room := size - len(e.AppendJSON(nil)) - len(`,"data":`); len(data) > 0 && room >= minValue {
		e.Data = cutObject(data, room)
	}
}

// minValue is enough room for the replacement of any value.
const minValue = 24

// cutValue cuts a value to at most room bytes of JSON.
func cutValue(v any, room int) any {
	if sizeOf(v) <= room {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		return cutObject(v, room)
	case []any:
		return cutList(v, room)
	case string:
		return cutText(v, room-len(`""`))
	default:
		text, _ := scalarText(v)
		return cutText(text, room-len(`""`))
	}
}

// cutText cuts a text to at most room bytes between its quotes.
func cutText(s string, room int) string {
	if encodedLen(s) <= room {
		return s
	}
	mark := "... (" + strconv.Itoa(len(s)) + " bytes)"
	room -= len(mark)
	end := 0
	for end < len(s) {
		_, size := utf8.DecodeRuneInString(s[end:])
		if room -= encodedLen(s[end : end+size]); room < 0 {
			break
		}
		end += size
	}
	return s[:end] + mark
}

// cutObject cuts an object to at most room bytes.
func cutObject(m map[string]any, room int) map[string]any {
	const more = "..." // the key that counts removed members
	keys := slices.Sorted(maps.Keys(m))
	sizes := make([]int, len(keys))
	for i, key := range keys {
		sizes[i] = sizeOf(m[key])
	}
	allot := shares(sizes, room-len(`{}`)-len(`"...":`)-1, func(i int) int { return encodedLen(keys[i]) + len(`"":,`) })
	cut := make(map[string]any, len(keys))
	left := 0
	for i, key := range keys {
		if allot[i] == 0 {
			left++
			continue
		}
		cut[key] = cutValue(m[key], allot[i])
	}
	if _, taken := cut[more]; left > 0 && !taken {
		cut[more] = strconv.Itoa(left) + " more"
	}
	return cut
}

// cutList cuts a list to at most room bytes.
func cutList(list []any, room int) []any {
	sizes := make([]int, len(list))
	for i := range list {
		sizes[i] = sizeOf(list[i])
	}
	allot := shares(sizes, room-len(`[]`), func(int) int { return len(`,`) })
	cut := make([]any, 0, len(list))
	left := 0
	for i, v := range list {
		if allot[i] == 0 {
			left++
			continue
		}
		cut = append(cut, cutValue(v, allot[i]))
	}
	if left > 0 {
		cut = append(cut, strconv.Itoa(left)+" more")
	}
	return cut
}

// shares divides room among values of these sizes, each with a fixed cost of its
// own. A value gets its size or less, but at least minValue, or 0 if there is no
// room for it. Enough room stays for the count of removed values.
func shares(sizes []int, room int, cost func(i int) int) []int {
	const mark = len(`"1000000 more",`)
	room -= mark
	allot := make([]int, len(sizes))
	var order []int
	for i, size := range sizes {
		least := min(size, minValue)
		if need := least + cost(i); need <= room {
			room -= need
			allot[i] = least
			order = append(order, i)
		}
	}
	// The rest is divided equally, smallest values first, so that the others get
	// what a small one doesn't need.
	slices.SortStableFunc(order, func(a, b int) int { return sizes[a] - sizes[b] })
	for n, i := range order {
		more := min(sizes[i]-allot[i], room/(len(order)-n))
		allot[i] += more
		room -= more
	}
	return allot
}

// sizeOf returns the length of a value's JSON.
func sizeOf(v any) int {
	switch v := v.(type) {
	case string:
		return encodedLen(v) + len(`""`)
	case json.Number:
		return len(v)
	case bool, nil:
		return len("false")
	case map[string]any:
		n := len(`{}`)
		for key, item := range v {
			n += encodedLen(key) + len(`"":,`) + sizeOf(item)
		}
		return n
	case []any:
		n := len(`[]`)
		for _, item := range v {
			n += len(`,`) + sizeOf(item)
		}
		return n
	}
	return len(appendValue(nil, v))
}

// encodedLen returns the largest length of a text between the quotes of a JSON
// string.
func encodedLen(s string) int {
	const escape = len(`\u0000`)
	n := len(s)
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c < ' ', c == 0x7f:
			n += escape - 1
		case c == '"', c == '\\':
			n++
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				n += escape - 1
			}
			i += size
			continue
		}
		i++
	}
	return n
}
