package main

import (
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"kazoohook/internal/fakekazoo"
)

// Every flag that the description names exists and sets its option.
func TestFakeFlags(t *testing.T) {
	t.Parallel()
	grammar := newCommands()
	parser, err := kong.New(grammar, kong.Name("kazoohook"), kong.Vars{"version": "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{
		"fake", "--kazoo=5", "--speed=20", "--seed=7", "--refuse-loopback", "--login-cost=35", "--fresh", "--hook-delay=1s",
		"--view-lag=1m", "--node-clock=0s,-7m", "--version2=dropped", "--integer-iolists",
	}); err != nil {
		t.Fatal(err)
	}
	want := fakekazoo.Options{
		Version: "5", Speed: 20, Seed: 7, RefuseLoopback: true, LoginCost: 35, Fresh: true, HookDelay: time.Second, ViewLag: time.Minute,
		Nodes: []fakekazoo.Node{
			{Name: "kazoo_apps@apps1.example.org"}, {Name: "kazoo_apps@apps2.example.org", ClockOffset: -7 * time.Minute},
		},
		Version2: fakekazoo.Version2Dropped, IntegerIolists: true,
	}
	got := grammar.Fake.options()
	if diff := cmp.Diff(want.Nodes, got.Nodes); diff != "" {
		t.Error(diff)
	}
	if got.Version != want.Version || got.Speed != want.Speed || got.Seed != want.Seed || !got.RefuseLoopback || got.LoginCost != want.LoginCost ||
		!got.Fresh || got.HookDelay != want.HookDelay || got.ViewLag != want.ViewLag || got.Version2 != want.Version2 || !got.IntegerIolists {
		t.Errorf("%+v", got)
	}

	known := map[string]bool{}
	for _, node := range parser.Model.Children {
		if node.Name == "fake" {
			for _, f := range node.Flags {
				known["--"+f.Name] = true
			}
		}
	}
	doc, err := os.ReadFile("../../docs/fake.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(--[a-z0-9-]+)`").FindAllStringSubmatch(string(doc), -1)
	for _, m := range named {
		if !known[m[1]] {
			t.Errorf("docs/fake.md names %s, which is no flag", m[1])
		}
	}
	if len(named) < 11 {
		t.Errorf("%d flags in docs/fake.md", len(named))
	}
}
