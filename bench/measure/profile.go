package measure

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
)

// profile begins a processor profile in dir; stop ends it and adds a profile of all
// allocations. Without a dir it does nothing.
func profile(dir, variant string) (stop func() error, err error) {
	if dir == "" {
		return func() error { return nil }, nil
	}
	name := filepath.Join(dir, variant+"-"+strconv.Itoa(os.Getpid()))
	cpu, err := os.Create(name + ".cpu") //nolint:gosec // a person's choice of a directory
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, errors.Join(err, cpu.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		allocs, err := os.Create(name + ".allocs") //nolint:gosec // likewise
		if err != nil {
			return errors.Join(err, cpu.Close())
		}
		return errors.Join(cpu.Close(), pprof.Lookup("allocs").WriteTo(allocs, 0), allocs.Close())
	}, nil
}
