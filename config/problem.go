package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Problem is one error in one variable, as a sentence for the operator.
type Problem struct {
	Variable string // e.g. PUBLIC_URL; empty for the configuration file as a whole
	Value    string // as given, masked if secret; empty if none was
	Text     string // what is wrong and what is accepted
}

// Error returns `VARIABLE: "value" is ...; use ...`.
func (p Problem) Error() string {
	var b strings.Builder
	if p.Variable != "" {
		b.WriteString(p.Variable + ": ")
	}
	if p.Value != "" {
		b.WriteString(strconv.Quote(p.Value) + " ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems is everything wrong with a configuration.
type Problems []Problem

// Error returns the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns each problem, for errors.As.
func (ps Problems) Unwrap() []error {
	out := make([]error, len(ps))
	for i, p := range ps {
		out[i] = p
	}
	return out
}

// err returns nil for an empty list, and the list otherwise.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// sort puts the problems into the order of the documentation; those of the
// configuration file come first, those of destinations last.
func (ps Problems) sort() {
	position := map[string]int{}
	for i, v := range Variables() {
		position[v.Name], position[v.FileName()] = i+1, i+1
	}
	of := func(p Problem) int {
		if strings.HasPrefix(p.Variable, destinationsKey+".") || p.Variable == destinationsKey {
			return len(position) + 1
		}
		return position[p.Variable]
	}
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(of(a), of(b)) })
}

func (ps *Problems) add(variable, value, text string) {
	*ps = append(*ps, Problem{Variable: variable, Value: value, Text: text})
}

// valueError is a parse error about a part of a value, such as one entry of a list.
type valueError struct{ value, text string }

func (e valueError) Error() string { return strconv.Quote(e.value) + " " + e.text }
