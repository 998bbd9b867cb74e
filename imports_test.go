// Package kazoohook_test checks the shape of the module: which package may
// import which.
package kazoohook_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "kazoohook"

// anyOfOurs stands for every package but the commands, anyInternal for every
// package below internal.
const (
	anyOfOurs   = "*"
	anyInternal = "internal/*"
)

// directions lists for each package, by its directory, which of our packages it may
// import. Imports go one way: the commands compose everything, handlers and
// registration use packages below internal, and none of these imports upwards.
func directions() map[string][]string {
	return map[string][]string{
		"cmd/kazoohook":            {anyOfOurs},
		"config":                   {"internal/datadir"},
		"server":                   nil,
		"server/acmetest":          nil,
		"handlers":                 {anyInternal, "handlers/ui"},
		"handlers/ui":              nil,
		"registration":             {anyInternal},
		"internal/event":           nil,
		"internal/event/eventtest": nil,
		"internal/dedupe":          {"internal/event", "internal/snapshot"},
		"internal/snapshot":        {"internal/event"},
		"internal/crossbar":        nil,
		"internal/datadir":         nil,
		"internal/output":          nil,
		"internal/redact":          nil,
		"internal/requests":        {"internal/datadir"},
		"internal/fakekazoo":       {"internal/event"},
		"internal/leaktest":        nil,
		"internal/journal": {"internal/datadir", "internal/dedupe", "internal/event", "internal/journal/database", "internal/journal/integrity", "internal/journal/search",
			"internal/journal/tables", "internal/journal/tail", "internal/snapshot"},
		"internal/journal/archive":   {"internal/datadir", "internal/journal", "internal/journal/database", "internal/journal/integrity", "internal/journal/tables", "internal/requests", "internal/snapshot"},
		"internal/journal/collector": {"internal/event", "internal/journal"},
		"internal/journal/database":  {"internal/datadir"},
		"internal/journal/integrity": {"internal/datadir", "internal/journal/database"},
		"internal/journal/oldformat": {"internal/datadir", "internal/dedupe", "internal/event", "internal/journal", "internal/journal/integrity",
			"internal/journal/tables", "internal/snapshot"},
		"internal/journal/search":      {"internal/event", "internal/journal/database", "internal/journal/integrity", "internal/journal/tables", "internal/snapshot"},
		"internal/journal/tail":        {"internal/event", "internal/journal/tables"},
		"internal/journal/tables":      {"internal/event", "internal/journal/database", "internal/journal/integrity", "internal/snapshot"},
		"internal/journal/journaltest": {"internal/event", "internal/journal", "internal/snapshot"},
		"internal/consumer":            {"internal/event", "internal/journal", "internal/snapshot"},
		"internal/delivery":            {"internal/event", "internal/journal", "internal/snapshot"},
		"internal/delivery/brokertest": nil,
		"internal/tracing":             {"internal/delivery", "internal/event"},
		"internal/cluster":             {"internal/datadir", "internal/event", "internal/journal", "internal/journal/archive", "internal/journal/integrity", "internal/snapshot"},
	}
}

// Directories of programs, which may import everything: commands and benchmarks.
const (
	commands   = "cmd"
	benchmarks = "bench"
)

// onlyIn lists foreign modules that only one package, and packages below it, may
// import, because it has the job for which they are used.
func onlyIn() map[string]string {
	return map[string]string{
		"github.com/gorilla/schema": "internal/event",
		"modernc.org/sqlite":        "internal/journal",
	}
}

// vagueNames lists names of packages that don't describe their content.
func vagueNames() []string {
	return []string{"base", "common", "helper", "helpers", "lib", "metrics", "misc", "mock", "mocks", "models", "pkg", "shared", "types", "util", "utils"}
}

// TestImportDirections fails for every import that directions doesn't allow.
func TestImportDirections(t *testing.T) {
	t.Parallel()
	for _, p := range checkImports(t, ".") {
		t.Error(p)
	}
}

// TestImportDirectionsAreChecked proves that the check finds forbidden imports.
func TestImportDirectionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ file, imports, want string }{
		"server imports handlers": {"server/x.go", "kazoohook/handlers",
			"server/x.go imports kazoohook/handlers: server may import no package of ours"},
		"handlers imports registration": {"handlers/x.go", "kazoohook/registration",
			"handlers/x.go imports kazoohook/registration: handlers may import of ours only internal/*, handlers/ui"},
		"handlers imports journal": {"handlers/x.go", "kazoohook/internal/journal", ""},
		"registration imports config": {"registration/x.go", "kazoohook/config",
			"registration/x.go imports kazoohook/config: registration may import of ours only internal/*"},
		"journal imports registration": {"internal/journal/x.go", "kazoohook/registration",
			"internal/journal/x.go imports kazoohook/registration: internal/journal may import of ours only internal/datadir, internal/dedupe, internal/event, internal/journal/database, internal/journal/integrity, internal/journal/search, internal/journal/tables, internal/journal/tail, internal/snapshot"},
		"consumer imports the fake": {"internal/consumer/x.go", "kazoohook/internal/fakekazoo",
			"internal/consumer/x.go imports kazoohook/internal/fakekazoo: internal/consumer may import of ours only internal/event, internal/journal, internal/snapshot"},
		"test imports a command": {"config/x_test.go", "kazoohook/cmd/kazoohook",
			"config/x_test.go imports kazoohook/cmd/kazoohook: nobody imports a command"},
		"schema outside event": {"handlers/x.go", "github.com/gorilla/schema",
			"handlers/x.go imports github.com/gorilla/schema: only internal/event may"},
		"undeclared package": {"internal/extra/x.go", "fmt",
			"internal/extra: the package is not listed in directions (imports_test.go)"},
		"vague name": {"internal/util/x.go", "fmt",
			"internal/util: the name says nothing of what is in it"},
		"test may import more": {"registration/x_test.go", "kazoohook/internal/journal", ""},
		"engine imports a benchmark": {"registration/x.go", "kazoohook/bench/load",
			"registration/x.go imports kazoohook/bench/load: only benchmarks and tests may"},
		"benchmark imports its own": {"bench/chaos/x.go", "kazoohook/bench/load", ""},
		"cmd may import all":        {"cmd/kazoohook/x.go", "kazoohook/internal/fakekazoo", ""},
		"other module's package":    {"server/x.go", "golang.org/x/sync/errgroup", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			path := filepath.Join(root, filepath.FromSlash(test.file))
			if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
				t.Fatal(err)
			}
			source := "package x\n\nimport _ " + strconv.Quote(test.imports) + "\n"
			if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
				t.Fatal(err)
			}
			got := checkImports(t, root)
			if test.want == "" && len(got) > 0 || test.want != "" && !slices.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// checkImports returns the forbidden imports of the module at root. It reads the files
// instead of the build's list, because files of other platforms count, too.
func checkImports(t *testing.T, root string) []string {
	t.Helper()
	var problems []string
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			return enter(path, rel)
		}
		if filepath.Ext(rel) != ".go" || !strings.Contains(rel, "/") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := rel[:strings.LastIndexByte(rel, '/')]
		if !seen[dir] {
			seen[dir] = true
			problems = append(problems, checkPackage(dir)...)
		}
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if why := forbidden(dir, name, strings.HasSuffix(rel, "_test.go")); why != "" {
				problems = append(problems, rel+" imports "+name+": "+why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return problems
}

// enter skips directories that aren't part of the module.
func enter(path, rel string) error {
	if rel == "." {
		return nil
	}
	base := filepath.Base(path)
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func checkPackage(dir string) []string {
	var problems []string
	for segment := range strings.SplitSeq(dir, "/") {
		if slices.Contains(vagueNames(), segment) {
			problems = append(problems, dir+": the name says nothing of what is in it")
		}
	}
	if _, ok := directions()[dir]; !ok && !isProgram(dir) {
		problems = append(problems, dir+": the package is not listed in directions (imports_test.go)")
	}
	return problems
}

// forbidden says why a file in dir may not import a package, or "".
func forbidden(dir, imported string, test bool) string {
	for other, owner := range onlyIn() {
		if (imported == other || strings.HasPrefix(imported, other+"/")) && dir != owner && !strings.HasPrefix(dir, owner+"/") && !test {
			return "only " + owner + " may"
		}
	}
	ours, ok := strings.CutPrefix(imported, module+"/")
	switch {
	case !ok && imported != module, ours == dir: // an external test of its own package
		return ""
	case top(ours) == commands:
		return "nobody imports a command"
	case top(ours) == benchmarks && top(dir) != benchmarks && !test:
		return "only benchmarks and tests may"
	case test, isProgram(dir):
		return ""
	}
	allowed := directions()[dir]
	switch {
	case slices.Contains(allowed, ours), slices.Contains(allowed, anyOfOurs):
		return ""
	case slices.Contains(allowed, anyInternal) && top(ours) == "internal":
		return ""
	case len(allowed) == 0:
		return dir + " may import no package of ours"
	}
	return dir + " may import of ours only " + strings.Join(allowed, ", ")
}

func isProgram(dir string) bool { return top(dir) == commands || top(dir) == benchmarks }

func top(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	return first
}
