package kazoohook_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDataDirIsWrittenByOnePackage: code that may write in DATA_DIR makes files and
// directories through internal/datadir only. Otherwise root's commands could leave files
// there that the service can't read.
func TestDataDirIsWrittenByOnePackage(t *testing.T) {
	t.Parallel()
	makes := []string{"Create", "CreateTemp", "Mkdir", "MkdirAll", "MkdirTemp", "OpenFile", "WriteFile"}
	elsewhere := []string{ // code that doesn't write there, or makes no new file
		"internal/journal/archive/backup.go: CreateTemp", // a backup that isn't in DATA_DIR
		"internal/cluster/purge.go: OpenFile",            // SQLite's log, which is there
		"cmd/kazoohook/demo.go: MkdirTemp",
	}
	var found []string
	for _, root := range []string{"cmd/kazoohook", "config", "handlers", "registration", "internal/cluster", "internal/journal", "internal/requests"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(filepath.Dir(path), "test") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && x.Name == "os" && slices.Contains(makes, s.Sel.Name) {
						found = append(found, filepath.ToSlash(path)+": "+s.Sel.Name)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range found {
		if !slices.Contains(elsewhere, f) {
			t.Errorf("%s: use internal/datadir", f)
		}
	}
	for _, e := range elsewhere {
		if !slices.Contains(found, e) {
			t.Errorf("%s is excepted and not there", e)
		}
	}
}
