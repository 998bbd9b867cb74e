package delivery

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestDocumentedFilters compiles the examples of docs/filters.md.
func TestDocumentedFilters(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/filters.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	blocks := regexp.MustCompile("(?s)```\n(.*?)\n```").FindAllStringSubmatch(text, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d examples", len(blocks))
	}
	for where := range strings.Lines(blocks[0][1]) {
		f, err := newFilter(where)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		fields, err := fieldsOf(received(t, jsonType, callBody))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.match(fields); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
	d := compiled(t, Settings{Body: blocks[1][1]})
	if m, err := d.Message(received(t, formType, deletedUser)); err != nil || m.ContentType != "application/json" || len(d.Warnings) > 0 {
		t.Errorf("%+v, %v, %q", m, err, d.Warnings)
	}
	for _, m := range regexp.MustCompile("`([^`]*\\{\\{[^`]+\\}\\})`").FindAllStringSubmatch(text, -1) {
		if _, err := newRendering("body", m[1]); err != nil {
			t.Errorf("%s: %v", m[1], err)
		}
	}
	if maxOutput != 4<<10 || maxNodes != 1000 || maxBody != 1<<20 {
		t.Error("the documentation says other bounds")
	}
	for _, address := range metadata6 {
		if !strings.Contains(text, address.String()) {
			t.Errorf("%s is not documented", address)
		}
	}
}

// TestDocumentedRetries compares what docs/destinations.md says of the default of retry.
func TestDocumentedRetries(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/destinations.md")
	if err != nil {
		t.Fatal(err)
	}
	var total time.Duration
	for _, wait := range DefaultRetry() {
		total += wait
	}
	want := fmt.Sprintf("follow `retry`, by default %d attempts over %.0f hours.", len(DefaultRetry())+1, total.Hours())
	if !strings.Contains(string(raw), want) {
		t.Errorf("the documentation doesn't say %q", want)
	}
}
