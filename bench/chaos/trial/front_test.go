package trial

import (
	"strings"
	"testing"
)

// TestLocal proves that only the addresses of the example change, and that an example
// of another form is refused.
func TestLocal(t *testing.T) {
	t.Parallel()
	const example = "frontend hooks\n    bind :443 ssl crt x.pem\n    no log\nbackend kazoohook\n    server node1 192.0.2.1:8080\n    server node2 192.0.2.2:8080\n"
	got, err := local(example, "127.0.0.1:1", []string{"a:1", "b:2"})
	want := "frontend hooks\n    bind 127.0.0.1:1\n    no log\nbackend kazoohook\n    server node1 a:1\n    server node2 b:2\n"
	if err != nil || got != want {
		t.Errorf("%v\n%s", err, got)
	}
	for name, other := range map[string]string{
		"no bind":    strings.Replace(example, "bind", "listen", 1),
		"one server": strings.Replace(example, "192.0.2.2", "192.0.3.2", 1),
	} {
		if _, err := local(other, "127.0.0.1:1", []string{"a:1", "b:2"}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
