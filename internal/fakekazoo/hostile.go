package fakekazoo

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"time"
)

// compressFrom is the size from which answers are compressed for a client that
// takes it (cowboy_compress_h.erl).
const compressFrom = 300

func compress(body []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

// endless fills a page with rows that were never seen and names another page.
func (c *call) endless(p *page) []any {
	size := defaultPageSize
	if n, err := strconv.Atoi(c.r.URL.Query().Get("page_size")); err == nil && n > 0 {
		size = min(n, 5000)
	}
	rows := make([]any, 0, size)
	for range size {
		id := c.k.rand.hex(16)
		if c.op == "attempts.list" {
			rows = append(rows, obj("hook_id", id, "hook_event", "object", "event_id", id[:10], "uri", "http://elsewhere.example.org/"+id,
				"method", "post", "req_body", "id="+id, "timestamp", c.k.clock.seconds(), "result", "failure", "reason", "bad response code",
				"resp_status_code", "500"))
			continue
		}
		rows = append(rows, obj("id", id, "name", id, "username", id, "first_name", "Ann", "last_name", id))
	}
	p.next = encodeKey(c.k.rand.hex(16))
	return rows
}

// bomb sends a listing of size bytes that is small as long as it is compressed.
func (c *call) bomb(w http.ResponseWriter, size int64) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	defer func() { _ = z.Close() }()
	_, err := io.WriteString(z, `{"status":"success","request_id":"`+c.id+`","data":[{"id":"x","name":"`)
	block := bytes.Repeat([]byte("A"), 1<<16)
	for left := size; err == nil && left > 0; left -= int64(len(block)) {
		_, err = z.Write(block)
	}
	if err == nil {
		_, _ = io.WriteString(z, `"}]}`)
	}
}

// drip sends an answer a byte at a time.
func (c *call) drip(w http.ResponseWriter, body []byte, each time.Duration) {
	flush := http.NewResponseController(w)
	for i := range body {
		if !pause(c.r.Context(), each) || c.k.ctx.Err() != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(body[i : i+1])
		_ = flush.Flush()
	}
}
