package requests

import (
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Header is one header line as it came. The caller of Note has masked secrets.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Request is one request of Kazoo that was answered 200.
type Request struct {
	Seq       int64     `json:"seq"`       // of its event
	Duplicate bool      `json:"duplicate"` // the event was in the journal already
	At        time.Time `json:"at"`        // when it came
	Method    string    `json:"method"`
	From      string    `json:"from"` // address
	Headers   []Header  `json:"headers"`
	Omitted   int       `json:"omitted,omitempty"` // number of headers beyond the bound
	Status    int       `json:"status"`            // of the answer
	Written   bool      `json:"written"`           // the answer was sent
	// Took is the time from the request's arrival until its answer was written.
	Took time.Duration `json:"took"`
}

// size returns the approximate memory of a request.
func (r *Request) size() int {
	n := 160 + len(r.Method) + len(r.From)
	for _, h := range r.Headers {
		n += 32 + len(h.Name) + len(h.Value)
	}
	return n
}

// Options of Recent.
type Options struct {
	Path     string              // of its file; empty: in memory only
	Journal  string              // name of the journal that Seq refers to
	Most     int                 // first requests kept, and as many duplicates; default 10,000
	MaxBytes int                 // the same in bytes; default 8 MiB
	MaxAge   time.Duration       // older ones are not kept in the file; 0: no bound
	Mask     func([]byte) []byte // masks secrets in what is written; may be nil
	Now      func() time.Time    // default time.Now
	Log      zerolog.Logger
}

// Recent holds the newest requests. Safe for concurrent use.
type Recent struct {
	opt    Options
	saving sync.Mutex // held while the file is written

	mu         sync.Mutex // guards the rest
	first      ring
	duplicates ring
	changed    bool // since the file was written
}

// ring holds the newest requests up to its bounds, oldest first.
type ring struct {
	list  []Request
	bytes int
}

func (g *ring) add(r Request, most, maxBytes int) {
	g.list = append(g.list, r)
	g.bytes += r.size()
	for len(g.list) > most || g.bytes > maxBytes {
		g.bytes -= g.list[0].size()
		g.list[0] = Request{} // append reclaims the space later
		g.list = g.list[1:]
	}
}

// New returns a Recent with the file's requests, if the file can be used.
func New(o Options) *Recent {
	if o.Most <= 0 {
		o.Most = 10_000
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 8 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Recent{opt: o}
	if o.Path != "" {
		r.load()
	}
	return r
}

// Note keeps a request. It does no I/O.
func (r *Recent) Note(q Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(q)
	r.changed = true
}

func (r *Recent) add(q Request) {
	if q.Duplicate {
		r.duplicates.add(q, r.opt.Most, r.opt.MaxBytes)
	} else {
		r.first.add(q, r.opt.Most, r.opt.MaxBytes)
	}
}

// Of returns the requests of an event that are still kept, oldest first.
func (r *Recent) Of(seq int64) []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []Request
	for _, kept := range [][]Request{r.first.list, r.duplicates.list} {
		for i := range kept {
			if kept[i].Seq == seq {
				list = append(list, kept[i])
			}
		}
	}
	return list
}

// Duplicated returns the numbers of the events whose duplicates are kept,
// ascending.
func (r *Recent) Duplicated() []int64 {
	r.mu.Lock()
	list := make([]int64, len(r.duplicates.list))
	for i := range list {
		list[i] = r.duplicates.list[i].Seq
	}
	r.mu.Unlock()
	slices.Sort(list)
	return slices.Compact(list)
}
