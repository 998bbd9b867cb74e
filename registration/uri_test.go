package registration

import "testing"

func TestRedactURI(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://h/kazoo/secret-of-16-chars/object":       "https://h/kazoo/***/object",
		"https://h/kazoo/kazoo/secret-of-16-chars/object": "https://h/kazoo/kazoo/***/object",
		"http://h/a/kazoo/b/kazoo/secret/object":          "http://h/a/kazoo/***/kazoo/***/object",
		`failed "https://h/kazoo/secret" twice`:           `failed "https://h/kazoo/***" twice`,
		"https://h/hooks":                                 "https://h/hooks",
	} {
		if got := redactURI(in); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}
