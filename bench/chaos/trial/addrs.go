package trial

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// FreeAddrs finds n loopback addresses that stay free while the receiver is
// restarted. Where the system has all of 127.0.0.0/8, no other process uses the host.
// The ports are outside the range of outgoing connections, and no program that is being
// started holds them.
func FreeAddrs(ctx context.Context, n int) ([]string, error) {
	var lc net.ListenConfig
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254)) //nolint:gosec // any will do
	var found []string
	for port := 20000 + rand.IntN(8000); port < 32000; port++ { //nolint:gosec // any will do
		addr := net.JoinHostPort(host, strconv.Itoa(port))
		syscall.ForkLock.RLock() // a child that was forked meanwhile would listen, too
		ln, err := lc.Listen(ctx, "tcp", addr)
		if err == nil {
			err = ln.Close()
		}
		syscall.ForkLock.RUnlock()
		if err != nil {
			host = "127.0.0.1"
			continue
		}
		if found = append(found, addr); len(found) == n {
			return found, nil
		}
	}
	return nil, errors.New("no port is free")
}
