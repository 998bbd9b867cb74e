package main

import "strings"

// licence is a kind of licence with the sentences that only this licence has.
type licence struct {
	name       string
	permissive bool
	sentences  []string // all of them, in lower case, words separated by one space
}

// licences lists restrictive licences first, so that a file with one of them and a
// permissive one is refused, and a person must look at it.
func licences() []licence {
	return []licence{
		{"MPL-2.0", false, []string{"mozilla public license"}}, // its text names those below
		{"AGPL", false, []string{"gnu affero general public license"}},
		{"LGPL", false, []string{"gnu lesser general public license"}},
		{"GPL", false, []string{"gnu general public license"}},
		{"EPL", false, []string{"eclipse public license"}},
		{"SSPL", false, []string{"server side public license"}},
		{"BUSL", false, []string{"business source license"}},
		{"CC BY-SA", false, []string{"sharealike"}},
		{"Apache-2.0", true, []string{"apache license", "version 2.0, january 2004"}},
		{"BSD-3-Clause", true, []string{
			"redistribution and use in source and binary forms, with or without modification, are permitted",
			"may be used to endorse or promote products derived from this software",
		}},
		{"BSD-2-Clause", true, []string{
			"redistribution and use in source and binary forms, with or without modification, are permitted",
		}},
		{"ISC", true, []string{"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"}},
		{"ISC", true, []string{"permission to use, copy, modify, and distribute this software for any purpose with or without fee is hereby granted"}},
		{"MIT", true, []string{"permission is hereby granted, free of charge, to any person obtaining a copy of this software"}},
		{"Unlicense", true, []string{"this is free and unencumbered software released into the public domain"}},
		{"CC0-1.0", true, []string{"creative commons legal code", "cc0 1.0"}},
		{"public domain", true, []string{"the author disclaims copyright to this source code"}},
		{"public domain", true, []string{"has been dedicated to the public domain by the authors"}},
	}
}

// reviewed lists files that a person has read and that are not a licence of the
// module's code, with what they are.
func reviewed() map[string]string {
	return map[string]string{
		"modernc.org/memory LICENSE-LOGO":         "where the picture in its README comes from",
		"modernc.org/sqlite LICENSE-3RD-PARTY.md": "a list of licences; what is copyleft in it is compiled into nothing",
	}
}

// classify names the licence of a text, and reports whether it permits use in a
// program under any terms.
func classify(text []byte) (name string, permissive bool) {
	flat := strings.Join(strings.Fields(strings.ToLower(string(text))), " ")
	for _, l := range licences() {
		all := true
		for _, s := range l.sentences {
			all = all && strings.Contains(flat, s)
		}
		if all {
			return l.name, l.permissive
		}
	}
	return "of a kind that is not known here", false
}
