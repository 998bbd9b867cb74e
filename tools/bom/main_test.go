package main

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	modules := []*debug.Module{{Path: "a.org/x", Version: "v1.0.0"}, {Path: "a.org/y", Version: "v2.0.0"}}
	component := func(name, version string) string {
		return `{"name":"` + name + `","version":"` + version + `","evidence":{"licenses":[{"license":{"id":"MIT"}}]}}`
	}
	x, y := component("a.org/x", "v1.0.0"), component("a.org/y", "v2.0.0")
	for name, test := range map[string]struct {
		components, want string // part of the error; "" none
	}{
		"the same":          {x + "," + y + "," + component("std", "go1.26"), ""},
		"one missing":       {x, "a.org/y v2.0.0 is built in"},
		"another version":   {x + "," + component("a.org/y", "v1.0.0"), `listed as "v1.0.0"`},
		"one too many":      {x + "," + y + "," + component("a.org/z", "v1.0.0"), "a.org/z v1.0.0 is listed and not built in"},
		"without licence":   {x + `,{"name":"a.org/y","version":"v2.0.0"}`, "no licence of a.org/y"},
		"not JSON":          {"{", "invalid character"},
		"of another format": {"", "bomFormat"},
	} {
		format := "CycloneDX"
		if name == "of another format" {
			format = "SPDX"
		}
		_, err := compare([]byte(`{"bomFormat":"`+format+`","components":[`+test.components+`]}`), modules)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
