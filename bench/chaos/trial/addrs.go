package trial

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// FreeAddrs finds n loopback addresses whose ports no outgoing connection gets
// by itself, so that they are free whenever the receiver comes back.
func FreeAddrs(ctx context.Context, n int) ([]string, error) {
	var lc net.ListenConfig
	var found []string
	for port := 20000 + rand.IntN(8000); port < 32000; port++ { //nolint:gosec // any will do
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		ln, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			continue
		}
		if err := ln.Close(); err != nil {
			return nil, err
		}
		if found = append(found, addr); len(found) == n {
			return found, nil
		}
	}
	return nil, errors.New("no port is free")
}
