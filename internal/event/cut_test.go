package event

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestShortenLeavesWhatFits(t *testing.T) {
	t.Parallel()
	e := Decode(Route(form("object", "id=u1&action=doc_edited&type=user&note="+strings.Repeat("x", 500))))
	before := string(e.AppendJSON(nil))
	e.Shorten(len(before))
	if got := string(e.AppendJSON(nil)); got != before || e.Truncated {
		t.Errorf("got %s", got)
	}
}

func TestShortenCutsTheLongestFirst(t *testing.T) {
	t.Parallel()
	e := Decode(Route(form("object", "id=u1&action=doc_edited&type=user&short=kept&long="+strings.Repeat("é", 9000)+"&mid="+strings.Repeat("m", 700))))
	e.Seq = 7
	e.Shorten(4096)
	line := e.AppendJSON(nil)
	var got struct {
		Seq       int
		Truncated bool
		Data      map[string]string
	}
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatal(err)
	}
	if len(line) > 4096 || len(line) < 3900 || !got.Truncated || got.Seq != 7 {
		t.Errorf("%d bytes: %s", len(line), line)
	}
	if got.Data["short"] != "kept" || len(got.Data["mid"]) != 700 {
		t.Errorf("a short value was cut: %s", line)
	}
	if long := got.Data["long"]; !strings.HasSuffix(long, "é... (18000 bytes)") || !utf8.ValidString(long) {
		t.Errorf("the long value: %s", long)
	}
}

func TestShortenCutsMembers(t *testing.T) {
	t.Parallel()
	var keys, items strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&keys, "&key%d[a]=%d", i, i)
		fmt.Fprintf(&items, "&list[]=%d", i)
	}
	const head = "id=u1&action=doc_edited&type=user"
	e := Decode(Route(form("object", head+keys.String())))
	e.Shorten(4096)
	if line := e.AppendJSON(nil); len(line) > 4096 || len(line) < 3900 || !strings.HasSuffix(fmt.Sprint(e.Data["..."]), " more") {
		t.Errorf("%d bytes: %s", len(line), line)
	}
	e = Decode(Route(form("object", head+items.String())))
	e.Shorten(4096)
	list, _ := e.Data["list"].([]any)
	if line := e.AppendJSON(nil); len(line) > 4096 || len(line) < 3900 || len(list) == 0 || !strings.HasSuffix(fmt.Sprint(list[len(list)-1]), " more") {
		t.Errorf("%d bytes: %s", len(line), line)
	}
}

// TestShortenAlwaysKeepsTheLimit draws random events, as Route and a snapshot can
// make them.
func TestShortenAlwaysKeepsTheLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		long := func(name string) string {
			unit := rapid.SampledFrom([]string{"x", "\x00", "é", "\xff", `"`, "\x7f", "😀", "\n"}).Draw(t, name)
			return strings.Repeat(unit, rapid.IntRange(0, 3000).Draw(t, name+" length"))
		}
		e := Event{Record: Record{Request: Request{
			Source: SourceRecovered, ReceivedAt: time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
			Hook: long("hook"), HookID: long("hook id"), Signature: SignedWrong,
		}}, Journal: "abcdefgh"}
		e.Seq, e.ID, e.Event, e.Action = 1<<62, "01JGK2X5ZC0000000000000000", strings.Repeat("e", maxName), Edited
		e.AccountID, e.ObjectID, e.ObjectType = long("account"), long("object"), strings.Repeat("t", maxName)
		e.ObjectName, e.ClusterID = long("name"), long("cluster")
		e.Problems = []string{long("problem"), long("another")}
		e.Data, _ = asMap(drawMembers(t, 4)).(map[string]any)
		for i := range rapid.IntRange(0, 400).Draw(t, "more keys") {
			e.Data[fmt.Sprint("k", i)] = json.Number("123456789012")
		}
		e.Data[long("key")] = long("value")
		e.Data["deep"] = map[string]any{long("deep key"): []any{long("item"), map[string]any{"x": long("deep")}, true, nil}}
		size := rapid.IntRange(MinSize, 20000).Draw(t, "size")
		fits := len(e.AppendJSON(nil)) <= size
		e.Shorten(size)
		line := e.AppendJSON(nil)
		if len(line) > size || !json.Valid(line) || e.Truncated == fits {
			t.Fatalf("%d bytes of %d, fits %v: %s", len(line), size, fits, line)
		}
	})
}
