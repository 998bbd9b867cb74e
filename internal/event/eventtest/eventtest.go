// Package eventtest lets tests of any package check events against the published
// JSON Schema, docs/schemas/event.json.
package eventtest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Validate fails the test if the JSON of an event, from lines, API, stream or
// deliveries, doesn't fit the schema.
func Validate(t testing.TB, event []byte) {
	t.Helper()
	if err := Check(event); err != nil {
		t.Errorf("not an event by the schema: %v\n%.2000s", err, event)
	}
}

// Check is Validate, but returns the error.
func Check(event []byte) error {
	schema, err := compiled()
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(event))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	return c.Compile(filepath.Join(root, "docs", "schemas", "event.json"))
})

// moduleRoot finds the directory of go.mod: the package's directory, in which a test
// runs, or one above it.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}
