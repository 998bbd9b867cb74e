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
		err := Unforked(func() error {
			ln, err := lc.Listen(ctx, "tcp", addr)
			if err != nil {
				return err
			}
			return ln.Close()
		})
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

// Unforked calls f, which closes a listener, while this process starts no program. A
// child that is being forked has this process's sockets, too, and would still listen.
func Unforked(f func() error) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return f()
}
