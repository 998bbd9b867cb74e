package main

import (
	"bytes"
	"strings"
	"testing"
)

const profile = `mode: atomic
kazoohook/server/server.go:1.1,2.2 3 0
kazoohook/server/server.go:3.1,4.2 1 7
kazoohook/bench/receive/main.go:1.1,2.2 6 0
kazoohook/server/server.go:1.1,2.2 3 1
kazoohook/server/server.go:5.1,6.2 4 0
kazoohook/config/load.go:1.1,2.2 2 1
`

func TestReadProfile(t *testing.T) {
	t.Parallel()
	got, err := readProfile(strings.NewReader(profile))
	if err != nil {
		t.Fatal(err)
	}
	if s := got["kazoohook/server"]; s != (tally{8, 4}) || len(got) != 3 {
		t.Errorf("got %+v", got)
	}
	for _, bad := range []string{"what", "a/b.go 1 1", "a/b.go:1.1,2.2 x 1"} {
		if _, err := readProfile(strings.NewReader("mode: set\n" + bad + "\n")); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestFloors(t *testing.T) {
	t.Parallel()
	packages, err := readProfile(strings.NewReader(profile))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		floors []string
		want   string // part of the error; "" none
	}{
		"reached":         {[]string{"total=60", "server=50"}, ""},
		"package too low": {[]string{"total=60", "server=50.1"}, "server: 50.00 %"},
		"total too low":   {[]string{"total=60.1"}, "total: 60.00 %"},
		"no such package": {[]string{"sever=50"}, "sever: no such package"},
	} {
		c := check{module: "kazoohook", without: []string{"bench"}, floors: map[string]float64{}}
		for _, f := range test.floors {
			if err := c.floor(f); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		err := c.report(packages, &out)
		if got := message(err); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
		if !strings.Contains(out.String(), "60.0 %  6 of 10") || !strings.Contains(out.String(), "bench/receive") {
			t.Errorf("%s: printed\n%s", name, out.String())
		}
	}
	if (check{}).floor("server") == nil {
		t.Error("a floor without a number was taken")
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
