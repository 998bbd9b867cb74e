package measure

import (
	_ "embed"
	"flag"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"kazoohook/internal/event"
)

// Bodies as Kazoo 4.3 encodes them.
var (
	//go:embed bodies/object
	objectForm string // 7 fields
	//go:embed bodies/channel
	channelForm string // 33 fields
)

// Decoding has the cost of one way to decode a body.
type Decoding struct {
	Body    string `json:"body"`
	Way     string `json:"way"`
	Nanos   Spread `json:"ns"`
	Bytes   int64  `json:"bytes"`
	Allocs  int64  `json:"allocations"`
	OfHand  Spread `json:"of_hand_written"` // time, as a ratio within each round
	OfQuery Spread `json:"of_parse_query"`
}

const (
	byHand    = "hand-written pass"
	byRoute   = "Route (ack path)"
	byDecode  = "Decode (log lines)"
	parseForm = "url.ParseQuery"
)

// decoding measures all ways, interleaved.
func (m *measurer) decoding() error {
	testing.Init()
	if err := flag.Set("test.benchtime", m.o.Bench.String()); err != nil {
		return err
	}
	for _, body := range []struct{ name, hook, form string }{{"object", "object", objectForm}, {"channel", "channel_create", channelForm}} {
		m.o.progress("decoding, " + body.name)
		d := event.Request{
			Source: event.SourceWebhook, ReceivedAt: time.Now().UTC(), Hook: body.hook, HookID: hookID, HookAccountID: account, Method: "POST",
			ContentType: "application/x-www-form-urlencoded", Body: []byte(body.form),
		}
		rec := event.Route(d)
		ways := []struct {
			name string
			do   func()
		}{
			{byHand, func() { handWritten(string(d.Body)) }},
			{parseForm, func() { _, _ = url.ParseQuery(string(d.Body)) }},
			{byRoute, func() { event.Route(d) }},
			{byDecode, func() { event.Decode(rec) }},
		}
		results := map[string][]testing.BenchmarkResult{}
		for range m.o.Rounds {
			for _, w := range ways {
				r := testing.Benchmark(func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						w.do()
					}
				})
				if r.N == 0 {
					return fmt.Errorf("the benchmark of %s failed", w.name)
				}
				results[w.name] = append(results[w.name], r)
			}
		}
		nanos := func(r testing.BenchmarkResult) float64 { return float64(r.T.Nanoseconds()) / float64(r.N) }
		for _, w := range ways {
			r := results[w.name]
			m.report.Decoding = append(m.report.Decoding, Decoding{
				Body: body.name, Way: w.name, Nanos: over(r, nanos), Bytes: r[0].AllocedBytesPerOp(), Allocs: r[0].AllocsPerOp(),
				OfHand: ratios(r, results[byHand], nanos), OfQuery: ratios(r, results[parseForm], nanos),
			})
		}
	}
	return nil
}

// handWritten is the reference: one pass that unescapes every value and stores it by
// position, without keys, names or rules.
func handWritten(body string) (fields [40]string) {
	for n := 0; body != "" && n < len(fields); n++ {
		segment := body
		if i := strings.IndexByte(body, '&'); i >= 0 {
			segment, body = body[:i], body[i+1:]
		} else {
			body = ""
		}
		value := segment[strings.IndexByte(segment, '=')+1:]
		if strings.IndexByte(value, '%') >= 0 || strings.IndexByte(value, '+') >= 0 {
			value, _ = url.QueryUnescape(value)
		}
		fields[n] = value
	}
	return fields
}
