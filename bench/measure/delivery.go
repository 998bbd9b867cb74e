package measure

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	secret  = "bench-secret-0123456789"
	account = "c0ffee00aa11bb22cc33dd44ee55ff66"
	hookID  = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
	cluster = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
)

// serial numbers the requests of a run, so that each is an event of its own.
type serial struct{ atomic.Int64 }

// objectBody is an object event as Kazoo sends it.
func objectBody(n int64) string {
	return fmt.Sprintf("id=%032x&account_id="+account+"&action=doc_deleted&type=user&cluster_id="+cluster, n)
}

// sender is one keep-alive connection that sends one request at a time. It does as
// little work as possible, because its own time is part of every figure.
type sender struct {
	addr string
	conn net.Conn
	in   *bufio.Reader
	buf  []byte
}

func dial(ctx context.Context, addr string) (*sender, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &sender{addr: addr, conn: conn, in: bufio.NewReader(conn)}, nil
}

func (s *sender) close() { _ = s.conn.Close() } // nothing is left to be sent

// send posts one request and waits for its 200.
func (s *sender) send(n int64) error {
	body := objectBody(n)
	s.buf = fmt.Appendf(s.buf[:0], "POST /kazoo/"+secret+"/object HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n"+
		"X-Hook-ID: "+hookID+"\r\nX-Account-ID: "+account+"\r\nContent-Length: %d\r\n\r\n%s", s.addr, len(body), body)
	if _, err := s.conn.Write(s.buf); err != nil {
		return err
	}
	return s.answer()
}

// answer reads one answer with a known length.
func (s *sender) answer() error {
	length := 0
	for first := true; ; first = false {
		line, err := s.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		switch l := strings.TrimSpace(string(line)); {
		case first && !strings.HasPrefix(l, "HTTP/1.1 200 "):
			return fmt.Errorf("answered %q", l)
		case l == "":
			_, err := s.in.Discard(length)
			return err
		default:
			if v, ok := strings.CutPrefix(l, "Content-Length: "); ok {
				if length, err = strconv.Atoi(v); err != nil {
					return err
				}
			}
		}
	}
}
