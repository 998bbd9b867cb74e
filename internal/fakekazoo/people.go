package fakekazoo

import "strings"

func firstNames() []string {
	return []string{
		"Ann", "Ben", "Chloé", "Dmitri", "Eve", "Farid", "Grace", "Hugo", "Inès", "José", "Kofi", "Lena",
		"Mónica", "Nils", "Olga", "Priya", "Quentin", "Rosa", "Søren", "Tariq", "Uma", "Vera", "Wei", "Yuki", "Zoë",
	}
}

func lastNames() []string {
	return []string{
		"Adams", "Baker", "Castillo", "Dubois", "Eriksen", "Fischer", "García", "Haddad", "Ivanova", "Jensen",
		"Kim", "Lee", "Müller", "Núñez", "O'Brien", "Papadopoulos", "Quinn", "Rossi", "Smith", "Tanaka",
		"Usman", "Van der Berg", "Williams", "Ödegaard", "Żak",
	}
}

func (k *Kazoo) personName() (first, last string) {
	return pick(k.rand, firstNames()), pick(k.rand, lastNames())
}

// usernameOf returns a name of ASCII letters that is unique because of the id.
func usernameOf(first, last, id string) string {
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' {
				return r
			}
			return -1
		}, strings.ToLower(s))
	}
	return plain(first) + "." + plain(last) + "." + id[:min(6, len(id))]
}
