package event

import (
	"slices"
	"unicode/utf8"
)

// Match reports whether the query selects the record. It ignores order and Limit.
// It compares names and ids with case (event names are always lower case). Text
// ignores the case of A to Z only, as SQLite's LIKE does.
func (q Query) Match(r Record) bool {
	switch {
	case !q.Since.IsZero() && r.ReceivedAt.Before(q.Since),
		!q.Until.IsZero() && !r.ReceivedAt.Before(q.Until),
		q.After != 0 && r.Seq <= q.After,
		q.Before != 0 && r.Seq >= q.Before,
		!matchAny(q.Events, r.Event),
		!matchAny(q.Accounts, r.AccountID),
		len(q.Sources) > 0 && !slices.Contains(q.Sources, r.Source),
		len(q.Objects) > 0 && !slices.Contains(q.Objects, r.ObjectID):
		return false
	}
	return containsFold(r.Body, q.Text)
}

// matchAny reports whether s matches one of the patterns, or there are none.
func matchAny(patterns []string, s string) bool {
	for _, pattern := range patterns {
		if Wildcard(pattern, s) {
			return true
		}
	}
	return len(patterns) == 0
}

// Wildcard reports whether the whole of s matches the pattern: '*' matches any text
// and '?' one character; nothing else is special. The time is at most proportional
// to the product of the lengths.
func Wildcard(pattern, s string) bool {
	star, retry := -1, 0 // the last '*', and where to continue in s after it
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, i
			p++
		case p < len(pattern) && pattern[p] == '?':
			_, size := utf8.DecodeRuneInString(s[i:])
			i += size
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			i++
			p++
		case star >= 0:
			retry++
			p, i = star+1, retry
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// containsFold is bytes.Contains ignoring the case of A to Z.
func containsFold(body []byte, text string) bool {
	for i := 0; i+len(text) <= len(body); i++ {
		if equalFold(body[i:i+len(text)], text) {
			return true
		}
	}
	return false
}

func equalFold(body []byte, text string) bool {
	for i := range body {
		if lowerByte(body[i]) != lowerByte(text[i]) {
			return false
		}
	}
	return true
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}
