// Command coverage prints the share of statements that the tests ran, by package, and
// fails if a share is below its floor.
//
//	go run -C tools ./coverage [-without PACKAGE]... [-floor PACKAGE=PERCENT]... PROFILE
//
// PACKAGE is a directory of the module; "total" is the floor of all together.
// Packages -without are printed but not counted in the total.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// total names the floor of all packages together.
const total = "total"

func main() {
	c := check{module: "kazoohook", floors: map[string]float64{}}
	flag.Func("without", "directory that is not counted, with those below it", func(s string) error {
		c.without = append(c.without, s)
		return nil
	})
	flag.Func("floor", "least coverage, PACKAGE=PERCENT", c.floor)
	flag.Parse()
	if err := run(c, flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "coverage:", err)
		os.Exit(1)
	}
}

func run(c check, args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("give one coverage profile")
	}
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	packages, err := readProfile(f)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return c.report(packages, out)
}

// check has the required figures.
type check struct {
	module  string
	without []string
	floors  map[string]float64
}

func (c check) floor(s string) error {
	name, value, _ := strings.Cut(s, "=")
	percent, err := strconv.ParseFloat(value, 64)
	if name == "" || err != nil {
		return errors.New("PACKAGE=PERCENT")
	}
	c.floors[name] = percent
	return nil
}

// report prints the figures. The error names each figure that is too low.
func (c check) report(packages map[string]tally, out io.Writer) error {
	figures := map[string]tally{}
	var all tally
	for path, t := range packages {
		dir := strings.TrimPrefix(path, c.module+"/")
		figures[dir] = t
		if !slices.ContainsFunc(c.without, func(w string) bool { return dir == w || strings.HasPrefix(dir, w+"/") }) {
			all.add(t)
		}
	}
	dirs := append(slices.Sorted(maps.Keys(figures)), total)
	figures[total] = all
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, dir := range dirs {
		t, note := figures[dir], ""
		if floor, ok := c.floors[dir]; ok {
			note = fmt.Sprintf("at least %.4g %%", floor)
		}
		if _, err := fmt.Fprintf(w, "%.1f %%\t%d of %d\t  %s\t %s\t\n", t.percent(), t.Covered, t.Statements, dir, note); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.floors)) {
		switch t, ok := figures[name]; {
		case !ok:
			errs = append(errs, fmt.Errorf("%s: no such package in the profile", name))
		case t.percent() < c.floors[name]:
			errs = append(errs, fmt.Errorf("%s: %.2f %% of statements, less than %.4g %%", name, t.percent(), c.floors[name]))
		}
	}
	return errors.Join(errs...)
}
