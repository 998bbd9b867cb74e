package journal

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fillIn gives every field of a command a different value.
func fillIn(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1772366400+int64(*n), int64(*n)).UTC()))
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("cbor") != "-" {
				fillIn(v.Field(i), n)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillIn(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fillIn(v.Index(0), n)
		fillIn(v.Index(1), n)
	case reflect.Array:
		for i := range v.Len() {
			fillIn(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf(fmt.Sprint("key", *n)), reflect.ValueOf(fmt.Sprint("value", *n)))
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d \xff", *n)) // Kazoo's texts need not be UTF-8
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint8:
		v.SetUint(uint64(*n % 256))
	case reflect.Uint64:
		v.SetUint(uint64(*n))
	default:
		panic(fmt.Sprint("no value for ", v.Type()))
	}
}

// Every command comes back from the log as it went in. Commands that an earlier version
// wrote (commands.golden) must still be read completely.
func TestCodec(t *testing.T) {
	t.Parallel()
	c, err := newCodec()
	must(t, err)
	update := os.Getenv("UPDATE_GOLDEN") != ""
	golden := map[string]string{}
	if raw, err := os.Open("testdata/commands.golden"); err == nil {
		lines := bufio.NewScanner(raw)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			name, text, _ := strings.Cut(lines.Text(), " ")
			golden[name] = text
		}
		must(t, raw.Close())
	}
	var written bytes.Buffer
	for _, k := range kinds() {
		n := int(k.code) * 1000
		typ := reflect.TypeOf(k.command).Elem()
		cmd := reflect.New(typ)
		fillIn(cmd.Elem(), &n)
		var e envelope
		fillIn(reflect.ValueOf(&e).Elem(), &n)
		e.Kind = k.code
		in, ok := cmd.Interface().(command)
		if !ok {
			t.Fatal(typ)
		}
		data, err := c.encode(e, in)
		must(t, err)
		fmt.Fprintf(&written, "%s %s\n", typ.Name(), hex.EncodeToString(data))
		gotEnvelope, got := decodeOne(t, c, data)
		unexported := cmp.Exporter(func(t reflect.Type) bool { return t.PkgPath() == typ.PkgPath() })
		if diff := cmp.Diff(e, gotEnvelope) + cmp.Diff(in, got, unexported); diff != "" {
			t.Errorf("%s: %s", typ.Name(), diff)
		}
		if update {
			continue
		}
		old, err := hex.DecodeString(golden[typ.Name()])
		if err != nil || len(old) == 0 {
			t.Errorf("%s isn't in testdata/commands.golden: add its line with UPDATE_GOLDEN=1, and change none that is there", typ.Name())
			continue
		}
		if again, err := c.encode(decodeOne(t, c, old)); err != nil || !bytes.Equal(again, old) {
			t.Errorf("%s, as an earlier version wrote it, loses something: %v\n%x\n%x", typ.Name(), err, old, again)
		}
	}
	if update {
		must(t, os.WriteFile("testdata/commands.golden", written.Bytes(), 0o600))
	}
}

// decodeOne decodes an entry of one command.
func decodeOne(t *testing.T, c *codec, data []byte) (envelope, command) {
	t.Helper()
	list := c.decode(data)
	if len(list) != 1 || list[0].entry.index != 0 {
		t.Fatalf("%d commands", len(list))
	}
	return list[0].entry.envelope, list[0].cmd
}

// An entry may hold several commands. One that can't be read doesn't affect the
// others, unless its end is unknown.
func TestCodecOfSeveral(t *testing.T) {
	t.Parallel()
	c, err := newCodec()
	must(t, err)
	part := func(kind uint8, number uint64, cmd command) []byte {
		data, err := c.encode(envelope{Kind: kind, Node: "n", Boot: "b", Number: number}, cmd)
		must(t, err)
		return data
	}
	one, two := part(1, 1, &request{Command: 1}), part(62, 2, &kept{Key: "k"})
	unknown, wrong := part(250, 3, &request{}), part(7, 4, &setting{Key: "k", Value: "v"})
	for name, test := range map[string]struct {
		parts [][]byte
		want  string
	}{
		"two":                     {[][]byte{one, two}, "*journal.request 1, *journal.kept 2"},
		"one of a later version":  {[][]byte{one, unknown, two}, "*journal.request 1, *journal.unreadable 3, *journal.kept 2"},
		"one of another form":     {[][]byte{wrong, two}, "*journal.unreadable 4, *journal.kept 2"},
		"the last is cut off":     {[][]byte{one, two[:len(two)-1]}, "*journal.request 1, *journal.unreadable 0"},
		"no command in the midst": {[][]byte{one, []byte("\xff"), two}, "*journal.request 1, *journal.unreadable 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for i, k := range c.decode(bytes.Join(test.parts, nil)) {
				got = append(got, fmt.Sprintf("%T %d", k.cmd, k.entry.Number))
				if k.entry.index != i {
					t.Errorf("command %d is number %d of the entry", i, k.entry.index)
				}
			}
			if text := strings.Join(got, ", "); text != test.want {
				t.Errorf("%s, want %s", text, test.want)
			}
		})
	}
}

func TestCodecOfTheUnknown(t *testing.T) {
	t.Parallel()
	c, err := newCodec()
	must(t, err)
	good, err := c.encode(envelope{Kind: 1, Node: "n", Boot: "b", Number: 7}, &request{})
	must(t, err)
	unknown, err := c.encode(envelope{Kind: 250, Node: "n", Boot: "b", Number: 7}, &request{})
	must(t, err)
	wrong, err := c.encode(envelope{Kind: 7, Node: "n", Boot: "b", Number: 7}, &setting{Key: "k", Value: "v"})
	must(t, err)
	for name, test := range map[string]struct {
		data []byte
		want string
		from string
	}{
		"of a kind of a later version": {unknown, "kind 250", "n"},
		"no command at all":            {[]byte("garbage"), "EOF", ""},
		"nothing":                      {nil, "EOF", ""},
		"cut off":                      {good[:len(good)-1], "EOF", ""},
		"of another form":              {wrong, "cannot unmarshal", "n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, cmd := decodeOne(t, c, test.data)
			bad, ok := cmd.(*unreadable)
			if !ok || !strings.Contains(bad.err.Error(), test.want) || e.Node != test.from {
				t.Errorf("%+v, %+v", e, cmd)
			}
		})
	}
	if _, err := c.encode(envelope{}, &probe{}); err != nil {
		t.Error(err)
	}
	if _, ok := c.kind(&probe{}); ok {
		t.Error("a probe goes into the log")
	}
}
