package trial

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"
)

// FreeAddrs finds n loopback addresses that stay free while the receiver is
// restarted. Where the system has all of 127.0.0.0/8, no other process uses the host.
// The ports are outside the range of outgoing connections. It listens at none of them: a
// program that is started at that moment would have the listener for a moment longer.
func FreeAddrs(ctx context.Context, n int) ([]string, error) {
	var lc net.ListenConfig
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254)) //nolint:gosec // any will do
	if udp, err := lc.ListenPacket(ctx, "udp", net.JoinHostPort(host, "0")); err != nil {
		host = "127.0.0.1"
	} else if err := udp.Close(); err != nil {
		return nil, err
	}
	var found []string
	for port := 20000 + rand.IntN(8000); port < 32000; port++ { //nolint:gosec // any will do
		if addr := net.JoinHostPort(host, strconv.Itoa(port)); !listens(ctx, addr) {
			found = append(found, addr)
		}
		if len(found) == n {
			return found, ctx.Err()
		}
	}
	return nil, errors.New("no port is free")
}

// Closed waits until nobody listens at an address whose listener was closed. A program
// that was started at that moment has it for a moment longer.
func Closed(ctx context.Context, addr string) {
	for listens(ctx, addr) {
		Sleep(ctx, time.Millisecond)
	}
}

func listens(ctx context.Context, addr string) bool {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err == nil {
		_ = c.Close() // nothing was sent
	}
	return err == nil
}
