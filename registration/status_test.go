package registration

import (
	"errors"
	"fmt"
	"testing"

	"kazoohook/internal/crossbar"
)

func TestCauseOfAnError(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want Cause
	}{
		"none":                      {nil, ""},
		"no error of the API":       {errors.New("x"), ""},
		"no answer":                 {&crossbar.Error{Op: "hooks.list", Err: errors.New("connection refused")}, ""},
		"datastore trouble":         {&crossbar.Error{Op: "hooks.list", Status: 500}, ""},
		"no such account":           {&crossbar.Error{Op: "hooks.list", Status: 404, Code: "404"}, CauseAccount},
		"the same, wrapped":         {fmt.Errorf("a pass: %w", errors.Join(&crossbar.Error{Op: "hooks.create", Status: 404, Code: "404"})), CauseAccount},
		"no such hook":              {&crossbar.Error{Op: "hooks.get", Status: 404, Code: "404"}, ""},
		"a proxy's page":            {&crossbar.Error{Op: "hooks.list", Status: 404, Code: crossbar.CodeNotJSON}, ""},
		"wrong password":            {&crossbar.Error{Op: "login", Status: 401, Code: "401"}, CauseLogin},
		"unknown API key":           {&crossbar.Error{Op: "login", Status: 404, Code: "404"}, CauseLogin},
		"token refused again":       {&crossbar.Error{Op: "hooks.list", Status: 401, Code: "401"}, CauseLogin},
		"the login is rate limited": {&crossbar.Error{Op: "login", Status: 429, Code: "429"}, ""},
	} {
		if got := causeOf(tc.err); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
