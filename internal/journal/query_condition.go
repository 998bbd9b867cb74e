package journal

import (
	"strings"

	"kazoohook/internal/event"
)

// condition is the part of q that SQLite checks row by row; bounds of seq are
// the plan's and the text is Query.Match's.
func condition(q event.Query) (sql string, args []any) {
	add := func(s string, a ...any) {
		sql += " AND " + s
		args = append(args, a...)
	}
	if !q.Since.IsZero() {
		add("received >= ?", q.Since.UnixNano())
	}
	if !q.Until.IsZero() {
		add("received < ?", q.Until.UnixNano())
	}
	for _, f := range []struct {
		column string
		values []string
	}{{"event", q.Events}, {"account", q.Accounts}} {
		if len(f.values) > 0 {
			s, a := anyOf(f.column, f.values)
			add(s, a...)
		}
	}
	if len(q.Objects) > 0 {
		s, a := isOneOf("object_id", q.Objects)
		add(s, a...)
	}
	return sql, args
}

// anyOf matches a column against patterns. NULL is the empty string.
func anyOf(column string, patterns []string) (string, []any) {
	var exact, terms []string
	var args []any
	for _, p := range patterns {
		if isPattern(p) {
			terms = append(terms, "ifnull("+column+",'') GLOB ?")
			args = append(args, glob(p))
		} else {
			exact = append(exact, p)
		}
	}
	if len(exact) > 0 {
		s, a := isOneOf(column, exact)
		terms, args = append(terms, s), append(args, a...)
	}
	return "(" + strings.Join(terms, " OR ") + ")", args
}

func isOneOf(column string, values []string) (string, []any) {
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	return "ifnull(" + column + ",'') IN (" + placeholders(len(values)) + ")", args
}

func isPattern(s string) bool { return strings.ContainsAny(s, "*?") }

// glob gives a pattern of event.Query as SQLite's, where [ is special too.
func glob(p string) string { return strings.ReplaceAll(p, "[", "[[]") }
