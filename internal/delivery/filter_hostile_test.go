package delivery

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kazoohook/internal/event"
)

// hostileBody is an event of about size bytes that makes work for expressions: a long
// text, long lists of numbers and texts, and a deep list.
func hostileBody(size int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"hook_event":"channel_create","call_id":"c","account_id":"a","text":"%s","numbers":[0`, strings.Repeat("ab", size/8))
	for i := range size / 4 / 7 {
		fmt.Fprintf(&b, ",%d", i*7919%1000000)
	}
	b.WriteString(`],"texts":[""`)
	for i := range size / 4 / 10 {
		fmt.Fprintf(&b, `,"%06d"`, i*7919%1000000)
	}
	depth := min(size/16, 5000)
	fmt.Fprintf(&b, `],"deep":%s%s,"items":[{}`, strings.Repeat("[", depth), strings.Repeat("]", depth))
	for i := range size / 4 / 16 {
		fmt.Fprintf(&b, `,{"n":%d,"s":"x"}`, i)
	}
	b.WriteString("]}")
	return b.String()
}

// hostile are expressions that would take very long or need much memory.
var hostile = []string{
	`all(data.numbers, all(data.numbers, all(data.numbers, # >= 0)))`,
	`all(1..1000, all(1..1000, all(1..1000, all(1..1000, true))))`,
	`count(data.items, any(data.texts, # == "nowhere")) > 0`,
	`reduce(1..900000, #acc + 1, 0) > 0 && reduce(data.numbers, #acc + len(data.text), 0) > 0`,
	`len(uniq(data.numbers)) > 0`,
	`len(uniq(map(data.items, .n))) > 0`,
	`sort(data.texts)[0] == sort(data.texts, "desc")[0] or sort(data.numbers)[0] == 1`,
	`all(data.texts, len(sort(data.texts)) > 0)`,
	`all(data.items, len(sortBy(data.items, .n)) > 0)`,
	`all(data.items, len(groupBy(data.items, .n)) > 0)`,
	`data.text matches "(a?b?){400}c"`,
	`all(data.texts, not (data.text matches "a.*c"))`,
	`repeat(data.text, 1000000) == ""`,
	`len(repeat(repeat(repeat("xxxxxxxxxx", 1000), 1000), 1000)) == 0`,
	`replace(data.text, "a", data.text) == ""`,
	`replace(replace(replace(data.text, "", "xx"), "", "yy"), "", "zz") == ""`,
	`len(join(map(data.texts, data.text))) == 0`,
	`join(data.texts, data.text) == ""`,
	`let a = data.text + data.text; let b = a + a + a + a; let c = b + b + b + b; let d = c + c + c + c; let e = d + d + d + d; len(e + e) == 0`,
	`reduce(1..1000, #acc + #acc, "x") == ""`,
	`reduce(data.texts, #acc + "x", "") == ""`,
	`all(data.numbers, data.numbers == data.numbers)`,
	`all(data.texts, # in data.texts)`,
	`all(data.items, not (# in data.items))`,
	`len(toJSON(data.deep)) > 0`,
	`all(data.numbers, toJSON(data) != "")`,
	`all(data.numbers, string(data) != "")`,
	`all(data.numbers, len(fromJSON(data.text)) > 0)`,
	`len(flatten(map(1..900, data.numbers))) > 0`,
	`all(1..1000, len(flatten(data.deep)) >= 0)`,
	`all(1..1000, max(data.numbers) > min(data.numbers) and mean(data.numbers) > 0 and median(data.numbers) > 0)`,
	`all(1..1000, sum(data.numbers) > 0)`,
	`all(1..1000, len(split(data.text, "")) > 0)`,
	`all(1..1000, len(splitAfter(data.text, "a")) > 0)`,
	`all(1..1000, upper(lower(data.text)) != "")`,
	`all(1..1000, len(keys(data)) > 0 and len(concat(data.numbers, data.texts)) > 0 and len(reverse(data.numbers)) > 0)`,
	`all(1..1000, trim(data.text, "ab") == "" and indexOf(data.text, "bb") < 0 and lastIndexOf(data.text, "bb") < 0)`,
	`all(1..1000, not (data.text contains "bba") and not (data.text endsWith "x") and toBase64(data.text) != "")`,
	`all(data.texts, date("2026-01-01", "2006-01-02", "Europe/Berlin").Year() > 0)`,
	`all(data.texts, now(timezone("Europe/Berlin")).Year() > 0)`,
	"all(1..1000, len(fromJSON(`[" + strings.Repeat("1,", 15000) + "1]`)) > 0)",
	"all(data.numbers, len(data.text + `" + strings.Repeat("x", 30000) + "`) > 0)",
	"all(data.numbers, data.text != `" + strings.Repeat("x", 30000) + "`)",
	`all(1..1000, len(fromPairs(toPairs(data))) > 0 and len(values(data)) > 0)`,
	`let l = map(data.numbers, data.text); l == map(data.numbers, data.text)`,
	`first(keys(groupBy(data.texts, data.text))) == nil`,
	`len(sortBy(data.texts, data.text)) == 0`,
	`all(data.numbers, len({(data.text): 1}) == 1 and data[data.text] == nil and get(data, data.text) == nil)`,
	`find(data.numbers, find(data.numbers, # == -1) != nil) != nil`,
	`findLastIndex(data.numbers, findLast(data.numbers, # == -1) == nil and false) != nil`,
	`one(data.numbers, one(data.numbers, # == -1))`,
	`len(filter(data.numbers, len(filter(data.numbers, # > 5)) > 5)) > 5`,
	`$env == $env and len(string($env)) > 1`,
}

// TestHostileWhereEnds evaluates the hostile expressions on an event of 1 MiB.
func TestHostileWhereEnds(t *testing.T) {
	t.Parallel()
	fields, err := fieldsOf(received(t, jsonType, hostileBody(1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	for _, where := range hostile {
		f, err := newFilter(where)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		_, err = f.match(fields)
		t.Logf("%s: %v", where, err)
	}
}

// FuzzWhere: every evaluation ends within its budgets, for any expression and event. A
// test that doesn't end fails at its timeout.
func FuzzWhere(f *testing.F) {
	for _, where := range hostile {
		f.Add(where, hostileBody(1<<9))
	}
	f.Add(`data.x == 1`, "id=1&action=doc_deleted&type=user")
	f.Fuzz(func(t *testing.T, where, body string) {
		evaluate(t, where, body)
	})
}

func evaluate(t rapid.TB, where, body string) {
	f, err := newFilter(where)
	if err != nil {
		return
	}
	e := event.Decode(event.Route(event.Request{Hook: "object", ContentType: formType, Body: []byte(body)}))
	fields, err := fieldsOf(&e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.match(fields); err != nil && strings.ContainsAny(err.Error(), "\n\x00") {
		t.Errorf("%s: %q", where, err)
	}
}

// TestGeneratedWhereEnds makes expressions from all operators and functions. Most
// compile, because their operands have the right types.
func TestGeneratedWhereEnds(t *testing.T) {
	t.Parallel()
	body := hostileBody(1 << 14)
	rapid.Check(t, func(t *rapid.T) {
		evaluate(t, expression(t, boolean, 5, 0), body)
	})
}

// typ is the type of an expression.
type typ string

const (
	boolean, number, text, list, thing typ = "boolean", "number", "text", "list", "thing"
)

// grammar lists for each type the expressions that yield it. A type in braces stands
// for an expression of that type; with # it is the body of a loop.
var grammar = map[typ][]string{
	boolean: {
		"true", "{number} > {number}", "{text} == {text}", "{list} == {list}", "{thing} != {thing}", "{boolean} and {boolean}", "not ({boolean})",
		"all({list}, {#boolean})", "any({list}, {#boolean})", "none({list}, {#boolean})", "one({list}, {#boolean})", "{thing} in {list}",
		"{text} contains {text}", "{text} startsWith {text}", `{text} matches "(a|b)*c"`, "hasSuffix({text}, {text})", "({boolean} ? {boolean} : {boolean})",
	},
	number: {
		"1", "seq", "0.5", "300", "len({list})", "len({text})", "({number} + {number})", "({number} * {number})", "count({list}, {#boolean})", "sum({list}, {#number})",
		"reduce({list}, {#number}, 0)", "indexOf({text}, {text})", "findIndex({list}, {#boolean})", "max(data.numbers)", "median({list})", "abs({number})", "int({text})",
	},
	text: {
		`"a"`, "data.text", "event", "({text} + {text})", "upper({text})", "trim({text})", "join({list}, {text})", "repeat({text}, {number})", "toJSON({thing})", "string({thing})",
		"replace({text}, {text}, {text})", "toBase64({text})", "type({thing})", "trimPrefix({text}, {text})", `join(map({list}, {#text}), ",")`,
	},
	list: {
		"data.numbers", "data.texts", "data.items", "data.deep", "1..300", "[{thing}, {thing}]", "filter({list}, {#boolean})", "map({list}, {#thing})", "sort({list})", "reverse({list})",
		"uniq({list})", "concat({list}, {list})", "flatten({list})", "split({text}, {text})", "keys(data)", "values(data)", "toPairs(data)", "take({list}, {number})", "sortBy({list}, {#thing})",
		"keys(groupBy({list}, {#text}))",
	},
	thing: {"data", "nil", "{number}", "{text}", "{boolean}", "{list}", "first({list})", "last({list})", "get({list}, {number})", "find({list}, {#boolean})", "fromJSON({text})", `{"a": {thing}}`},
}

var slot = regexp.MustCompile(`\{#?[a-z]+\}`)

// expression draws an expression of a type and of limited depth, inside loops loops.
func expression(t *rapid.T, want typ, depth, loops int) string {
	choices := grammar[want]
	if depth == 0 {
		choices = slices.DeleteFunc(slices.Clone(choices), slot.MatchString)
	}
	if loops > 0 {
		choices = append(slices.Clone(choices), "#")
	}
	return slot.ReplaceAllStringFunc(rapid.SampledFrom(choices).Draw(t, string(want)), func(place string) string {
		inner, loop := strings.CutPrefix(place[1:len(place)-1], "#")
		within := loops
		if loop {
			within++
		}
		return expression(t, typ(inner), depth-1, within)
	})
}
