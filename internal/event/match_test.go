package event

import (
	"strings"
	"testing"
	"time"
)

func TestWildcard(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "anything", true}, {"a", "a", true}, {"a", "A", false},
		{"user.*", "user.deleted", true}, {"user.*", "user", false}, {"*.deleted", "user.deleted", true},
		{"*.deleted", "user.deleted.x", false}, {"u?er.deleted", "user.deleted", true}, {"?", "", false}, {"?", "é", true},
		{"??", "é", false}, {"*a*b*c*", "xxaxxbxxcxx", true}, {"*a*b*c*", "xxaxxcxxbxx", false}, {"a*a", "a", false},
		{"**", "x", true}, {"[a-z]", "a", false}, {"[a-z]", "[a-z]", true}, {`\*`, `\x`, true}, {"*x", "axbx", true},
	}
	for _, tt := range tests {
		if got := Wildcard(tt.pattern, tt.s); got != tt.want {
			t.Errorf("Wildcard(%q, %q) = %v", tt.pattern, tt.s, got)
		}
	}
	if Wildcard(strings.Repeat("*a", 500)+"b", strings.Repeat("a", 5000)) {
		t.Error("matched")
	}
}

func TestQueryMatch(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	r := Record{
		Request: Request{ReceivedAt: at, Body: []byte("id=U1&name=Ann+Lee")},
		Seq:     10, Event: "user.deleted", AccountID: "acc1", ObjectID: "U1",
	}
	tests := map[string]struct {
		q    Query
		want bool
	}{
		"zero":             {Query{}, true},
		"since, inclusive": {Query{Since: at}, true},
		"since, later":     {Query{Since: at.Add(1)}, false},
		"until, exclusive": {Query{Until: at}, false},
		"until, later":     {Query{Until: at.Add(1)}, true},
		"after":            {Query{After: 10}, false},
		"after, smaller":   {Query{After: 9}, true},
		"before":           {Query{Before: 10}, false},
		"before, larger":   {Query{Before: 11}, true},
		"event":            {Query{Events: []string{"channel.*", "user.*"}}, true},
		"other event":      {Query{Events: []string{"channel.*"}}, false},
		"event's case":     {Query{Events: []string{"User.*"}}, false},
		"account":          {Query{Accounts: []string{"acc?"}}, true},
		"other account":    {Query{Accounts: []string{"acc"}}, false},
		"object":           {Query{Objects: []string{"x", "U1"}}, true},
		"object's case":    {Query{Objects: []string{"u1"}}, false},
		"no wildcards":     {Query{Objects: []string{"U*"}}, false},
		"text":             {Query{Text: "ann+LEE"}, true},
		"text at the end":  {Query{Text: "lee"}, true},
		"other text":       {Query{Text: "bob"}, false},
		"longer text":      {Query{Text: strings.Repeat("x", 99)}, false},
		"limit, order":     {Query{Limit: 1, OldestFirst: true}, true},
		"all of it":        {Query{Events: []string{"*"}, Accounts: []string{"*"}, Text: "id", Since: at, After: 1}, true},
	}
	for name, tt := range tests {
		if got := tt.q.Match(r); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
