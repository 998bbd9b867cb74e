package crossbartest

import (
	"os"
	"testing"
)

// The description names every operation and every fault.
func TestDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../../docs/fake.md")
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
}
