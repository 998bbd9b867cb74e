// Command bom checks a software bill of materials (CycloneDX, JSON) against its
// program: it must list exactly the modules that the Go toolchain wrote into the
// binary, each with its version.
//
//	go run -C tools ./bom BOM BINARY
package main

import (
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bom:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("give a bill of materials and a binary")
	}
	raw, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(args[1])
	if err != nil {
		return fmt.Errorf("%s: %w", args[1], err)
	}
	n, err := compare(raw, info.Deps)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	fmt.Printf("%s lists the %d modules of %s\n", args[0], n, args[1])
	return nil
}

// bill has the fields of a bill of materials that we read.
type bill struct {
	Format     string `json:"bomFormat"`
	Components []struct {
		Name     string `json:"name"`
		Version  string `json:"version"`
		Licences []any  `json:"licenses"`
		Evidence struct {
			Licences []any `json:"licenses"`
		} `json:"evidence"`
	} `json:"components"`
}

// standard is the name under which a bill may list the standard library, which is not
// a module.
const standard = "std"

// compare compares a bill with the modules and returns their number.
func compare(raw []byte, modules []*debug.Module) (int, error) {
	var b bill
	if err := json.Unmarshal(raw, &b); err != nil {
		return 0, err
	}
	if b.Format != "CycloneDX" {
		return 0, fmt.Errorf("bomFormat is %q", b.Format)
	}
	listed := map[string]string{}
	var errs []error
	for _, c := range b.Components {
		if c.Name == standard {
			continue
		}
		listed[c.Name] = c.Version
		if len(c.Licences)+len(c.Evidence.Licences) == 0 {
			errs = append(errs, fmt.Errorf("no licence of %s", c.Name))
		}
	}
	for _, m := range modules {
		if m.Replace != nil {
			m = m.Replace
		}
		if got, ok := listed[m.Path]; !ok || got != m.Version {
			errs = append(errs, fmt.Errorf("%s %s is built in and listed as %q", m.Path, m.Version, got))
		}
		delete(listed, m.Path)
	}
	for name, version := range listed {
		errs = append(errs, fmt.Errorf("%s %s is listed and not built in", name, version))
	}
	return len(modules), errors.Join(errs...)
}
