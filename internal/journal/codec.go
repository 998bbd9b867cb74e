package journal

import (
	"fmt"
	"reflect"

	"github.com/fxamacker/cbor/v2"
	"github.com/oklog/ulid/v2"
)

// envelope is what the proposing node adds to a command. With it the command is
// complete, except for its place in the log.
type envelope struct {
	Fold   int    `cbor:"1,keyasint"` // newest version of the rules that the node knows
	Kind   uint8  `cbor:"2,keyasint"`
	Node   string `cbor:"3,keyasint"`
	Boot   string `cbor:"4,keyasint"` // the process
	Number uint64 `cbor:"5,keyasint"` // within the process: 1, 2, ...
	// Term is set if only the leader may give the command. The command counts only in
	// this term.
	Term uint64 `cbor:"6,keyasint,omitzero"`
	Wall int64  `cbor:"7,keyasint"` // Unix ns
	// Clock is the cluster's clock as the node estimates it: the clock at the last tick
	// it read, plus the time since then by its own monotonic clock.
	Clock int64     `cbor:"8,keyasint"`
	ID    ulid.ULID `cbor:"9,keyasint"`
}

// kind is a type of command in the log.
type kind struct {
	code    uint8
	command command
	leader  bool // only the leader may give it
}

// kinds lists all kinds of commands in the log. A code is never reused. A new kind is
// given only after the version of the rules that introduced it took effect.
func kinds() []kind {
	return []kind{
		{1, &request{}, false}, {2, &owned{}, false}, {3, &answers{}, false}, {4, &listed{}, true}, {5, &looked{}, true},
		{6, &missing{}, true}, {7, &moved{}, true}, {8, &setting{}, true}, {9, &opened{}, false},
		{20, &configured{}, true}, {21, &judged{}, true}, {22, &decided{}, true}, {23, &attempted{}, true}, {24, &paused{}, false},
		{25, &redelivered{}, false}, {26, &discarded{}, false}, {27, &dropped{}, true}, {28, &placed{}, true},
		{40, &removed{}, true}, {41, &swept{}, true},
		{60, &led{}, false}, {61, &ticked{}, false}, {62, &kept{}, false}, {63, &raised{}, false}, {64, &joined{}, false},
		{65, &left{}, false}, {66, &renamed{}, false},
	}
}

// codec turns commands into entries of the log and back.
type codec struct {
	enc    cbor.EncMode
	dec    cbor.DecMode
	byType map[reflect.Type]kind
	byCode map[uint8]reflect.Type
}

func newCodec() (*codec, error) {
	c := &codec{byType: map[reflect.Type]kind{}, byCode: map[uint8]reflect.Type{}}
	var err error
	if c.enc, err = (cbor.EncOptions{Time: cbor.TimeRFC3339NanoUTC, Sort: cbor.SortBytewiseLexical}).EncMode(); err != nil {
		return nil, err
	}
	// Kazoo's texts need not be UTF-8.
	if c.dec, err = (cbor.DecOptions{UTF8: cbor.UTF8DecodeInvalid, MaxArrayElements: 1 << 20}).DecMode(); err != nil {
		return nil, err
	}
	for _, k := range kinds() {
		t := reflect.TypeOf(k.command).Elem()
		c.byType[t], c.byCode[k.code] = k, t
	}
	return c, nil
}

// kind returns the kind of a command; false if the command doesn't go into the log.
func (c *codec) kind(cmd command) (kind, bool) {
	k, ok := c.byType[reflect.TypeOf(cmd).Elem()]
	return k, ok
}

func (c *codec) encode(e envelope, cmd command) ([]byte, error) {
	return c.enc.Marshal(struct {
		envelope
		Command command `cbor:"20,keyasint"`
	}{e, cmd})
}

// decode splits an entry into its commands (a CBOR sequence, RFC 8742). A command that
// this program can't read becomes an unreadable one. If it isn't even CBOR, that
// includes the rest of the entry.
func (c *codec) decode(data []byte) (list []*work) {
	for {
		e, cmd, rest := c.first(data)
		list = append(list, &work{cmd: cmd, entry: &entry{envelope: e, index: len(list)}})
		if data = rest; len(data) == 0 {
			return list
		}
	}
}

// first decodes the first command of an entry, and returns what follows it.
func (c *codec) first(data []byte) (envelope, command, []byte) {
	var in struct {
		envelope
		Command cbor.RawMessage `cbor:"20,keyasint"`
	}
	rest, err := c.dec.UnmarshalFirst(data, &in)
	if err != nil {
		return envelope{}, &unreadable{err: err}, nil
	}
	t, ok := c.byCode[in.Kind]
	if !ok {
		return in.envelope, &unreadable{err: fmt.Errorf("a command of kind %d is not known", in.Kind)}, rest
	}
	cmd, _ := reflect.New(t).Interface().(command)
	if err := c.dec.Unmarshal(in.Command, cmd); err != nil {
		return in.envelope, &unreadable{err: err}, rest
	}
	return in.envelope, cmd, rest
}
