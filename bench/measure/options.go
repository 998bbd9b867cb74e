package measure

import (
	"io"
	"time"
)

// Options say what to measure and how thoroughly. Full and Quick return usable ones.
type Options struct {
	Rounds  int           // of each variant, interleaved
	Span    time.Duration // length of one measurement
	Conns   []int         // keep-alive connections of the closed loops
	Events  []int64       // sizes of the journals that are opened and queried, ascending
	Streams int           // live streams in the memory measurement
	Queries int           // of each kind and round
	Bench   time.Duration // of each decoding benchmark and round

	Dir     string // on the disk to measure; default the system's temporary directory
	Cache   string // where large journals are kept between runs; default below Dir, and removed
	Program string // the receiver; default: built from ./cmd/kazoohook
	Against string // an older build of bench, whose receive path is measured in the same rounds; default none
	Only    string // parts to measure, letters of Parts; default all
	Profile string // directory for profiles of the servers, and of delivering; default none

	Progress io.Writer // gets a line for each step; may be nil
}

// Parts are the letters of what can be measured: ack path, decoding, start,
// memory, queries, log lines, growth, delivering onward, memory with a backlog,
// a cluster.
const Parts = "adsmqlgobc"

// Full makes figures to quote. It takes about ten minutes, and more when a large
// journal has to be made first.
func Full() Options {
	return Options{
		Rounds: 5, Span: 2 * time.Second, Conns: []int{1, 16, 64}, Events: []int64{1_000, 1_000_000},
		Streams: 100, Queries: 200, Bench: 300 * time.Millisecond,
	}
}

// Quick runs every measurement in less than a minute; its figures are rough.
func Quick() Options {
	return Options{
		Rounds: 1, Span: 500 * time.Millisecond, Conns: []int{1, 16, 64}, Events: []int64{1_000, 20_000},
		Streams: 20, Queries: 20, Bench: 50 * time.Millisecond,
	}
}

func (o Options) progress(text string) {
	if o.Progress != nil {
		_, _ = io.WriteString(o.Progress, text+"\n") // only for people: an error doesn't matter
	}
}
