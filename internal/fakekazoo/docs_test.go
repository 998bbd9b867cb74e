package fakekazoo

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// docs/fake.md names every operation, kind, option and fault.
func TestDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/fake.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(raw)
	for _, kind := range faultKinds() {
		contains(t, doc, "| `"+string(kind)+"` |")
	}
	for _, rt := range routes()[:18] { // the rest are the same for each kind of object
		contains(t, doc, "`"+rt.op+"`")
	}
	for _, kd := range kinds() {
		contains(t, doc, "`"+kd.path+"`")
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[Options](), reflect.TypeFor[Offer]()} {
		for i := range typ.NumField() {
			if f := typ.Field(i); f.IsExported() {
				contains(t, doc, "`"+f.Name+"`")
			}
		}
	}
	fields := reflect.TypeFor[Fault]()
	for i := range fields.NumField() {
		name, _, _ := strings.Cut(fields.Field(i).Tag.Get("json"), ",")
		if name == "-" {
			name = strings.ToLower(fields.Field(i).Name)
		}
		contains(t, doc, "`"+name+"`")
	}
	// Every request of the control handler, as its source names them.
	var source []byte
	for _, file := range []string{"control.go", "control_hooks.go"} {
		part, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, part...)
	}
	for _, m := range regexp.MustCompile(`"((?:GET|PUT|POST|PATCH|DELETE) /[^"]*)"`).FindAllStringSubmatch(string(source), -1) {
		contains(t, doc, "`"+m[1])
	}
}
