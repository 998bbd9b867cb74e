// Command licences lists the licences of the modules in the program, and fails if one
// is missing or not permissive.
//
//	go run -C tools ./licences            # of the module above
//	go run -C tools ./licences -texts     # with the full texts, to go with a binary
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	dir := flag.String("dir", "..", "directory of the module")
	texts := flag.Bool("texts", false, "print the full texts as well")
	flag.Parse()
	if err := run(context.Background(), *dir, flag.Args(), *texts, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

// run checks the dependencies of the packages (default: the program) of the module in dir.
func run(ctx context.Context, dir string, packages []string, texts bool, out io.Writer) error {
	if len(packages) == 0 {
		packages = []string{"./cmd/kazoohook"}
	}
	modules, err := dependencies(ctx, dir, packages)
	if err != nil {
		return err
	}
	var errs []error
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, m := range modules {
		files, err := licenceFiles(m.Dir)
		if err != nil {
			return err
		}
		for name := range files {
			if _, ok := reviewed()[m.Path+" "+name]; ok {
				delete(files, name)
			}
		}
		names := "none found"
		if len(files) > 0 {
			names, err = classifyAll(files)
		} else {
			err = errors.New("no licence file")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", m.Path, m.Version, err))
		}
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\n", m.Path, m.Version, names); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if texts {
		errs = append(errs, printTexts(out, modules))
	}
	return errors.Join(errs...)
}

type module struct {
	Path, Version, Dir string
	Main               bool
}

// dependencies returns the modules that the packages are built from, without the main
// module and modules that only tests need.
func dependencies(ctx context.Context, dir string, packages []string) ([]module, error) {
	args := append([]string{"list", "-deps", "-json=Module"}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	found := map[string]module{}
	for dec := json.NewDecoder(bytes.NewReader(list)); ; {
		var p struct{ Module *module }
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read go list: %w", err)
		}
		if p.Module != nil && !p.Module.Main {
			found[p.Module.Path] = *p.Module
		}
	}
	modules := make([]module, 0, len(found))
	for _, m := range found {
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	return modules, nil
}

// licenceFiles returns the files in a module's root that may be a licence.
func licenceFiles(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		if e.IsDir() || !strings.HasPrefix(name, "LICEN") && !strings.HasPrefix(name, "COPYING") {
			continue
		}
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// classifyAll names the licence of each file; every one must be permissive.
func classifyAll(files map[string][]byte) (string, error) {
	var names []string
	var errs []error
	for file, text := range files {
		name, ok := classify(text)
		if !ok {
			errs = append(errs, fmt.Errorf("%s is %s: not known to be permissive", file, name))
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " and "), errors.Join(errs...)
}

func printTexts(out io.Writer, modules []module) error {
	for _, m := range modules {
		files, err := licenceFiles(m.Dir)
		if err != nil {
			return err
		}
		for name, text := range files {
			if _, err := fmt.Fprintf(out, "\n==== %s %s: %s\n\n%s", m.Path, m.Version, name, text); err != nil {
				return err
			}
		}
	}
	return nil
}
